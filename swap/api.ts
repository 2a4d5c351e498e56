import { archivedStreams } from "#core/archive/tables.ts";
import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { createOnce, unlessDone } from "#core/http/idempotency/once.ts";
import { cutPage } from "#core/http/page.ts";
import { serve } from "#core/http/serve.ts";
import type { HttpServer } from "#core/http/server.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import type { Sender } from "#core/sender/sender.ts";
import { createSwapAuthority, requireParties } from "./authority.ts";
import { decisionRoutes } from "./brakes/api.ts";
import type { Decisions } from "./brakes/decisions.ts";
import type { SwapChains } from "./chains.ts";
import type { SwapDriver } from "./driver.ts";
import { createEndedViews } from "./endedViews.ts";
import { swapStream } from "./events.ts";
import type { HandIn } from "./handIn.ts";
import { listSwapIds } from "./listing.ts";
import type { Hold } from "./nextAction.ts";
import type { Quoting } from "./quotes/quoting.ts";
import { createSwapReader, type LockHolds } from "./reader.ts";
import { findSwapId } from "./readModel.ts";
import type { SwapRequester } from "./request.ts";
import { requireClaimable, requireRefundable } from "./requests.ts";
import { claimSwap, getSwap, listSwaps, refundSwap, requestSwap, signSwap } from "./routes.ts";
import type { Swap } from "./swap.ts";

type Deps = {
  db: Db;
  store: EventStore;
  /** Where what is shown is read from, when it is elsewhere. */
  shown?: { readonly db: Db; readonly store: EventStore };
  chains: SwapChains;
  clock: Clock;
  requester: SwapRequester;
  quoting: Pick<Quoting, "settle">;
  driver: SwapDriver;
  sender: Pick<Sender, "find">;
  handIn: HandIn;
  /** Why nothing more is locked for swaps, as it is now. */
  holds(): Promise<(swap: Swap) => Hold | undefined>;
  /** What else keeps a lock from being made; asked where a single swap is shown. */
  lockHolds: LockHolds;
  decisions: Decisions;
};

/** Serves `/v1/swaps`. */
export function createSwapRoutes(deps: Deps): (app: HttpServer) => Promise<void> {
  const { shown = deps } = deps;
  const reader = createSwapReader({ ...deps, ...shown });
  const authority = createSwapAuthority(deps);
  const idOf = async (reference: string) => (await findSwapId(shown.db, reference.toLowerCase())) ?? reference;
  const advance = async (id: string) => {
    await deps.driver.advance(id);
    return reader.whole(id);
  };
  const exists = async (id: string) => (await deps.store.load(deps.db, swapStream(id))).length > 0;

  const ended = createEndedViews(deps);
  const show = async (reference: string) => ended.keep(reference, await reader.whole(await idOf(reference)));

  const listArchived = async (before: bigint | undefined, limit: number) => {
    const { page, last } = cutPage(await archivedStreams(deps.db, "swap", before, limit + 1), limit);
    const swaps = await reader.listed(page.map(({ stream }) => stream.slice(swapStream("").length)));
    return { swaps, ...(last && { next: last.place.toString() }) };
  };

  return async (app) => {
    decisionRoutes(app, { ...deps, authority, idOf, show: reader.whole });
    serve(app, requestSwap, async ({ body, caller, once }) => {
      const create = async (id: string) => {
        const settled = await deps.quoting.settle(body);
        requireParties(caller, settled);
        await deps.requester.request(settled, id);
      };
      const id = await createOnce(once, { exists, create });
      return once?.again ? reader.whole(id) : reader.fresh(id);
    });
    serve(app, listSwaps, async ({ query: { cursor, limit, archived, ...filter } }) => {
      if (archived) return listArchived(cursor, limit);
      if (filter.chain !== undefined) deps.chains.requireKnown(filter.chain, "chain");
      const asked = { before: cursor, limit: limit + 1, now: unixSeconds(deps.clock) };
      const { page, last } = cutPage(await listSwapIds(shown.db, filter, asked), limit);
      const swaps = await reader.listed(page.map(({ id }) => id));
      return { swaps, ...(last && { next: last.cursor.toString() }) };
    });
    serve(app, getSwap, ({ params: { id } }) => ended.get(id) ?? show(id));
    serve(app, claimSwap, async ({ params, body, caller, once }) => {
      const id = await idOf(params.id);
      await authority.requireParty(caller, id);
      await unlessDone(once, ["swap-not-claimable", "swap-over"], async () => {
        if (body?.secret) await deps.handIn.secret(id, body.secret);
        requireClaimable(await reader.whole(id));
      });
      return advance(id);
    });
    serve(app, signSwap, async ({ params, body, caller, once }) => {
      const id = await idOf(params.id);
      await authority.requireParty(caller, id);
      await unlessDone(once, ["swap-not-waiting"], () => deps.handIn.signature(id, body));
      return advance(id);
    });
    serve(app, refundSwap, async ({ params, caller, once }) => {
      const id = await idOf(params.id);
      await authority.requireParty(caller, id);
      const swap = await reader.whole(id);
      await unlessDone(once, ["swap-not-refundable", "swap-over"], () =>
        requireRefundable(swap, unixSeconds(deps.clock)),
      );
      return advance(swap.id);
    });
  };
}
