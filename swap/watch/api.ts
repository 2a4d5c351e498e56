import { unlessDone } from "#core/http/idempotency/once.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { SwapChains } from "../chains.ts";
import { getLock, listLocks, watchLock } from "../routes.ts";
import type { LockReader } from "./reader.ts";
import type { WatchRequester } from "./request.ts";

/** Serves `/v1/locks`. */
export function createLockRoutes(deps: {
  reader: LockReader;
  requester: Pick<WatchRequester, "watch">;
  chains: Pick<SwapChains, "requireKnown">;
}): (app: HttpServer) => Promise<void> {
  async function find({ chain, lockId }: { chain: string; lockId: Hex }) {
    const found = await deps.reader.find(chain, lockId);
    if (found) return found;
    deps.chains.requireKnown(chain, "chain");
    throw new LockstepError("not-found", `no lock of ${chain} with this id was seen`, { details: { field: "lockId" } });
  }

  return async (app) => {
    serve(app, listLocks, async ({ query: { cursor, limit, ...filter } }) => {
      if (filter.chain !== undefined) deps.chains.requireKnown(filter.chain, "chain");
      const page = await deps.reader.list(filter, cursor, limit);
      return { locks: page.locks, ...(page.next !== undefined && { next: page.next.toString() }) };
    });
    serve(app, getLock, ({ params }) => find(params));
    serve(app, watchLock, async ({ params, once }) => {
      await unlessDone(once, ["lock-ended"], () => deps.requester.watch(params.chain, params.lockId));
      return find(params);
    });
  };
}
