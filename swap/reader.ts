import type { Db } from "#core/db/db.ts";
import type { EventStore, StoredEvent } from "#core/events/store.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import { isRetryable, LockstepError } from "#core/kernel/errors.ts";
import type { Sender } from "#core/sender/sender.ts";
import type { SwapChains } from "./chains.ts";
import { deadlinesOf } from "./deadlines.ts";
import { type SwapEvent, swapStream } from "./events.ts";
import { nextStepOf } from "./handover.ts";
import { type Hold, nextAction } from "./nextAction.ts";
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
};

type HoldOf = (swap: Swap) => Hold | undefined;

/** Swaps as the API shows them. Both throw `not-found`. */
export type SwapReader = {
  /** With what an external party has to do, for which chains are asked, and what keeps a transaction from being mined. */
  whole(id: string): Promise<SwapView>;
  /** Many at once, as far as the events tell. */
  listed(ids: readonly string[]): Promise<SwapView[]>;
};

export function createSwapReader(deps: Deps): SwapReader {
  const { chains } = deps;
  const timingOf = (swap: { terms: { source: { chain: string }; target: { chain: string } } }) =>
    chains.timing(swap.terms.source.chain, swap.terms.target.chain);

  function viewed(events: readonly StoredEvent<SwapEvent>[], holdOf: HoldOf): SwapView {
    const found = viewOf(events, timingOf, unixSeconds(deps.clock), holdOf);
    if (!found) throw new LockstepError("not-found", "there is no swap with this id", { details: { field: "id" } });
    return found;
  }
  const load = (id: string) => deps.store.load<SwapEvent>(deps.db, swapStream(id));
  async function whole(id: string): Promise<SwapView> {
    const events = await load(id);
    const holdOf = await deps.holds();
    const swap = foldSwap(events);
    const view = viewed(events, holdOf);
    if (!swap) return view;
    const [next, reason] = await Promise.all([nextFor(swap, holdOf(swap)), reasonOf(swap, view)]);
    return { ...view, reason, ...(next && { next }) };
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
    const timelocks = { source: swap.terms.source.timelock, target: swap.terms.target.timelock };
    const deadlines = deadlinesOf(timingOf(swap), timelocks);
    try {
      return await nextStepOf(chains, swap, nextAction(swap, deadlines, unixSeconds(deps.clock), hold), deadlines);
    } catch (error) {
      // What is known of the swap can be shown without its chain.
      if (isRetryable(error)) return undefined;
      throw error;
    }
  }

  return {
    whole,
    async listed(ids) {
      const holdOf = await deps.holds();
      return Promise.all(ids.map(async (id) => viewed(await load(id), holdOf)));
    },
  };
}
