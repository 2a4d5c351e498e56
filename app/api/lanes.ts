import { unlessDone } from "#core/http/idempotency/once.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import { type Lane, laneName } from "#relay";
import type { RegistryChanges } from "../registry/changes.ts";
import type { Registry } from "../registry/registry.ts";
import { addLane, pauseLane, removeLane, resumeLane } from "./laneRoutes.ts";

/** Serves what changes which lanes are served; `GET /v1/lanes` shows how far they have come. */
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
    serve(app, addLane, async ({ body, once }) => {
      await unlessDone(once, ["lane-exists"], () => changes.addLane(body));
      return view(body);
    });
    serve(app, pauseLane, async ({ params }) => {
      await changes.setLane(params, "paused");
      return view(params);
    });
    serve(app, resumeLane, async ({ params }) => {
      await changes.setLane(params, "active");
      return view(params);
    });
    serve(app, removeLane, async ({ params, query, once }) => {
      await unlessDone(once, ["not-found"], () => changes.removeLane(params, query.force === "true"));
      return view(params);
    });
  };
}
