import { z } from "zod";
import { problemSchema } from "#core/http/problem.ts";
import type { HttpServer } from "#core/http/server.ts";
import { type Hex, hash } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { LockReader } from "./reader.ts";
import type { WatchRequester } from "./request.ts";
import { lockViewSchema } from "./schemas.ts";

const params = z.object({
  chain: z.string().regex(/^[\x21-\x7e]{1,80}$/, "expected a chain's name"),
  lockId: hash.meta({ description: "The lock's id on its chain: the hash of its terms" }),
});
const listQuery = z.strictObject({
  chain: z
    .string()
    .regex(/^[\x21-\x7e]{1,80}$/, "expected a chain's name")
    .optional(),
  state: z.enum(["open", "claimed", "refunded"]).optional(),
  watched: z.enum(["true", "false"]).optional().meta({ description: "Only locks whose watch goes on, or only others" }),
  cursor: z
    .string()
    .regex(/^[0-9]{1,18}$/, "expected the `next` of an earlier answer")
    .optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});
const listSchema = z.object({ locks: z.array(lockViewSchema), next: z.string().optional() });
const problems = { "4xx": problemSchema, "5xx": problemSchema };

/** Routes of `/v1/locks`. */
export function createLockRoutes(deps: {
  reader: LockReader;
  requester: Pick<WatchRequester, "watch">;
}): (app: HttpServer) => Promise<void> {
  async function find({ chain, lockId }: { chain: string; lockId: Hex }) {
    const found = await deps.reader.find(chain, lockId);
    if (found) return found;
    throw new LockstepError("not-found", `no lock of ${chain} with this id was seen`, { details: { field: "lockId" } });
  }

  return async (app) => {
    app.get(
      "/v1/locks",
      {
        schema: {
          tags: ["locks"],
          summary: "Locks of the timelock contracts, whoever they belong to, newest first",
          querystring: listQuery,
          response: { 200: listSchema, ...problems },
        },
      },
      async ({ query: { chain, state, watched, cursor, limit } }) => {
        const filter = { chain, state, watched: watched === undefined ? undefined : watched === "true" };
        const page = await deps.reader.list(filter, cursor === undefined ? undefined : BigInt(cursor), limit);
        return { locks: page.locks, ...(page.next !== undefined && { next: page.next.toString() }) };
      },
    );
    app.get(
      "/v1/locks/:chain/:lockId",
      {
        schema: {
          tags: ["locks"],
          summary: "A lock, and what the service does about it",
          params,
          response: { 200: lockViewSchema, ...problems },
        },
      },
      ({ params }) => find(params),
    );
    app.post(
      "/v1/locks/:chain/:lockId/watch",
      {
        schema: {
          tags: ["locks"],
          summary: "Drive a lock of others to its end",
          security: [{ startupToken: [] }],
          params,
          response: { 202: lockViewSchema, ...problems },
        },
      },
      async ({ params }, reply) => {
        await deps.requester.watch(params.chain, params.lockId);
        return reply.code(202).send(await find(params));
      },
    );
  };
}
