import { z } from "zod";
import { chainName } from "#core/config/service.ts";
import { problemSchema } from "#core/http/problem.ts";
import type { HttpServer } from "#core/http/server.ts";
import { uint } from "#core/kernel/codec.ts";
import { type Lane, laneName } from "#relay";
import type { RegistryChanges } from "../registry/changes.ts";
import type { Registry } from "../registry/registry.ts";

const laneBody = z
  .strictObject({
    origin: chainName,
    destination: chainName,
    delivery: z.enum(["checkpoint", "proof"]).default("checkpoint"),
  })
  .meta({ id: "NewLane" });
const laneParams = z.object({ origin: z.string().min(1).max(64), destination: z.string().min(1).max(64) });
const settingSchema = z
  .object({
    lane: z.string().meta({ example: "alpha→beta" }),
    origin: z.string(),
    destination: z.string(),
    source: z.enum(["file", "api"]),
    state: z.enum(["active", "paused", "removed"]),
    revision: uint,
  })
  .meta({ id: "LaneSetting" });
const removal = z.strictObject({
  force: z
    .enum(["true", "false"])
    .default("false")
    .meta({ description: "Also with messages under way: they stay on their chains, and go on when the lane is back" }),
});
const problems = { "4xx": problemSchema, "5xx": problemSchema };
const secured = [{ startupToken: [] }];

/** Routes that change which lanes are served; `GET /v1/lanes` shows how far they have come. */
export function createLaneRoutes(deps: {
  registry: Pick<Registry, "lanes" | "revision">;
  changes: RegistryChanges;
}): (app: HttpServer) => Promise<void> {
  const { registry, changes } = deps;
  const view = ({ origin, destination }: Lane) => {
    const lane = laneName({ origin, destination });
    const found = registry.lanes.get(lane);
    const gone = { source: "api", state: "removed", revision: registry.revision() } as const;
    const { source, state, revision } = found ?? gone;
    return { lane, origin, destination, source, state, revision };
  };

  return async (app) => {
    app.post(
      "/v1/lanes",
      {
        schema: {
          tags: ["network"],
          summary: "Serve a lane",
          description: "Both gateways must know each other.",
          security: secured,
          body: laneBody,
          response: { 201: settingSchema, ...problems },
        },
      },
      async ({ body }, reply) => {
        await changes.addLane(body);
        return reply.code(201).send(view(body));
      },
    );
    for (const [verb, state, summary] of verbs) {
      app.post(
        `/v1/lanes/:origin/:destination/${verb}`,
        {
          schema: {
            tags: ["network"],
            summary,
            security: secured,
            params: laneParams,
            response: { 200: settingSchema, ...problems },
          },
        },
        async ({ params }) => {
          await changes.setLane(params, state);
          return view(params);
        },
      );
    }
    app.delete(
      "/v1/lanes/:origin/:destination",
      {
        schema: {
          tags: ["network"],
          summary: "Serve a lane no more",
          security: secured,
          params: laneParams,
          querystring: removal,
          response: { 200: settingSchema, ...problems },
        },
      },
      async ({ params, query }) => {
        await changes.removeLane(params, query.force === "true");
        return view(params);
      },
    );
  };
}

const verbs = [
  ["pause", "paused", "Deliver nothing over a lane; its messages wait"],
  ["resume", "active", "Deliver over a lane again"],
] as const;
