import type { Db } from "#core/db/db.ts";
import type { EventStore, StoredEvent } from "#core/events/store.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import { isRetryable, LockstepError } from "#core/kernel/errors.ts";
import type { Sender } from "#core/sender/sender.ts";
import type { SwapChains } from "./chains.ts";
import { deadlinesOf } from "./deadlines.ts";
import { type SwapEvent, swapStream } from "./events.ts";
import { nextStepOf } from "./handover.ts";
import { type Hold, isBeforeLock, nextAction } from "./nextAction.ts";
import type { NextStep, SwapView } from "./schemas.ts";
import { stepsUnderWay } from "./stepsUnderWay.ts";
import { foldSwap, type Swap } from "./swap.ts";
import { viewOf } from "./view.ts";

type Deps = {
  db: Db;
  store: EventStore;
  chains: SwapChains;
  clock: Clock;
  sender: Pick<Sender, "find">;
  /** Why nothing more is locked for swaps, as it is now. */
  holds(): Promise<(swap: Swap) => Hold | undefined>;
  lockHolds: LockHolds;
};

/** Why the lock that is next is not made: for want of coin for gas, or because the desk's price has moved. Asks chains. */
export type LockHolds = { holdOn(swap: Swap): Promise<Hold | undefined> };

type HoldOf = (swap: Swap) => Hold | undefined;

/** Swaps as the API shows them. Both throw `not-found`. */
export type SwapReader = {
  /** With what an external party has to do, for which chains are asked, and what keeps a transaction from being mined. */
  whole(id: string): Promise<SwapView>;
  /** The same of one that was requested just now: whether its sender has enough was looked at then. */
  fresh(id: string): Promise<SwapView>;
  /** Many at once, as far as the events tell. */
  listed(ids: readonly string[]): Promise<SwapView[]>;
};

export function createSwapReader(deps: Deps): SwapReader {
  const { chains } = deps;
  const timingOf = (swap: { terms: { source: { chain: string }; target: { chain: string } } }) =>
    chains.timing(swap.terms.source.chain, swap.terms.target.chain);

  const deadlinesFor = (swap: Swap) =>
    deadlinesOf(timingOf(swap), { source: swap.terms.source.timelock, target: swap.terms.target.timelock });

  function viewed(events: readonly StoredEvent<SwapEvent>[], holdOf: HoldOf): SwapView {
    const found = viewOf(events, timingOf, unixSeconds(deps.clock), holdOf);
    if (!found) throw new LockstepError("not-found", "there is no swap with this id", { details: { field: "id" } });
    return found;
  }
  const load = (id: string) => deps.store.load<SwapEvent>(deps.db, swapStream(id));
  async function shown(id: string, holdOn: (swap: Swap) => Promise<Hold | undefined>): Promise<SwapView> {
    const events = await load(id);
    const swap = foldSwap(events);
    const hold = swap && (await holdOn(swap));
    const view = viewed(events, () => hold);
    if (!swap) return view;
    const [next, reason] = await Promise.all([nextFor(swap, hold), reasonOf(swap, view)]);
    return { ...view, reason, ...(next && { next }) };
  }
  /** Asks the chains, so only where a lock is next. */
  async function shortOf(swap: Swap): Promise<Hold | undefined> {
    if (!isBeforeLock(nextAction(swap, deadlinesFor(swap), unixSeconds(deps.clock)))) return undefined;
    return knownNow(async () => deps.lockHolds.holdOn(swap));
  }
  /** Of a transaction on its way: what keeps it from being mined, where the sender knows. */
  async function reasonOf(swap: Swap, { reason }: SwapView): Promise<SwapView["reason"]> {
    if (reason.code !== "step-in-progress") return reason;
    for (const [step, { intentId }] of stepsUnderWay(swap)) {
      const intent = await deps.sender.find(deps.db, intentId);
      const waiting = intent && "waiting" in intent ? intent.waiting : undefined;
      if (waiting) return { ...reason, code: waiting.code, message: `${step} is on its way: ${waiting.detail}` };
    }
    return reason;
  }
  async function nextFor(swap: Swap, hold: Hold | undefined): Promise<NextStep | undefined> {
    const deadlines = deadlinesFor(swap);
    const action = nextAction(swap, deadlines, unixSeconds(deps.clock), hold);
    return knownNow(() => nextStepOf(chains, swap, action, deadlines));
  }

  return {
    whole: (id) => shown(id, async (swap) => (await deps.holds())(swap) ?? shortOf(swap)),
    fresh: (id) => shown(id, async (swap) => (await deps.holds())(swap)),
    async listed(ids) {
      const holdOf = await deps.holds();
      return Promise.all(ids.map(async (id) => viewed(await load(id), holdOf)));
    },
  };
}

/** What is known of a swap can be shown without its chains. */
async function knownNow<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (isRetryable(error)) return undefined;
    throw error;
  }
}
