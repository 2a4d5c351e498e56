import type { StoredEvent } from "#core/events/store.ts";
import { type Deadlines, deadlinesOf, type SwapTiming } from "./deadlines.ts";
import type { LegName, SwapEvent } from "./events.ts";
import { type Action, nextAction } from "./nextAction.ts";
import type { SwapView, TimelineEntry } from "./schemas.ts";
import { statusOf } from "./status.ts";
import { foldSwap, phaseOf, type Sighting, type Swap } from "./swap.ts";

/** A swap as the API shows it, from its events and the time alone. Unix seconds; undefined without events. */
export function viewOf(
  events: readonly StoredEvent<SwapEvent>[],
  timingOf: (swap: Swap) => SwapTiming,
  now: bigint,
  isHeld: (swap: Swap) => boolean = () => false,
): SwapView | undefined {
  const swap = foldSwap(events);
  if (!swap) return undefined;
  const timelocks = { source: swap.terms.source.timelock, target: swap.terms.target.timelock };
  const deadlines = deadlinesOf(timingOf(swap), timelocks);
  return {
    id: swap.id,
    status: statusOf(swap, now),
    reason: reasonOf(swap, deadlines, now, isHeld(swap)),
    hashlock: swap.hashlock,
    initiator: swap.initiator,
    counterparty: swap.counterparty,
    source: legView(swap, "source"),
    target: legView(swap, "target"),
    deadlines,
    createdAt: swap.requestedAt.toISOString(),
    timeline: events.map(timelineEntry),
  };
}

function legView(swap: Swap, name: LegName): SwapView["source"] {
  const leg = swap.legs[name];
  const { chain, timelockContract, lockId, asset, amount, sender, recipient, timelock } = swap.terms[name];
  return {
    ...{ chain, contract: timelockContract, lockId, asset, amount, sender, recipient, timelock },
    state: phaseOf(leg),
    ...(leg.lock && { lock: sighting(leg.lock, leg.lockFinal) }),
    ...(leg.end && { end: sighting(leg.end, leg.endFinal) }),
  };
}

const sighting = ({ transactionHash, blockNumber }: Sighting, final: boolean) => ({
  transactionHash,
  blockNumber,
  final,
});

const waitingFor: Readonly<Record<string, string>> = {
  "awaiting-finality": "waiting for what was seen to be final",
  "awaiting-timelock": "waiting for a claim, or for the timelock to run out",
  "chain-paused": "a chain of the swap is paused, so nothing more is locked; claims and refunds go on",
  "step-in-progress": "a transaction is on its way",
  "step-retry": "the last attempt of a step failed; it is tried again",
};

function reasonOf(swap: Swap, deadlines: Deadlines, now: bigint, held: boolean): SwapView["reason"] {
  const action = nextAction(swap, deadlines, now, held);
  const words = wordsOf(action, swap);
  return {
    ...words,
    ...(action.kind === "wait" && { nextAttemptAt: new Date(Number(action.until) * 1000).toISOString() }),
  };
}

function wordsOf(action: Action, swap: Swap): { code: string; message: string } {
  switch (action.kind) {
    case "ended":
      return swap.givenUp
        ? { code: swap.givenUp.code, message: swap.givenUp.detail }
        : { code: "ended", message: "nothing is left to do" };
    case "giveUp":
      return { code: action.code, message: action.detail };
    case "step":
      return { code: action.step, message: `the next step, ${action.step}, is due` };
    case "wait":
      return withCause(action.code, waitingFor[action.code] ?? action.code, swap);
  }
}

function withCause(code: string, message: string, swap: Swap): { code: string; message: string } {
  const failure = Object.values(swap.steps).find((step) => step.state === "failed")?.failure;
  if (swap.givenUp) return { code: swap.givenUp.code, message: `${swap.givenUp.detail}; ${message}` };
  if (code === "step-retry" && failure) return { code: failure.code, message: `${message}: ${failure.detail}` };
  return { code, message };
}

function timelineEntry(event: StoredEvent<SwapEvent>): TimelineEntry {
  const base = { at: event.at.toISOString(), what: event.type };
  switch (event.type) {
    case "SwapRequested":
      return base;
    case "StepStarted":
      return { ...base, detail: `${event.data.step}, attempt ${event.data.attempt}` };
    case "StepFailed":
      return { ...base, code: event.data.code, detail: `${event.data.step}: ${event.data.detail}` };
    case "SwapGivenUp":
      return { ...base, code: event.data.code, detail: event.data.detail };
    case "RevealWithdrawn":
      return { ...base, detail: "no byte of the claim left; the secret is still secret" };
    case "RevealStarted":
      return { ...base, leg: "target", blockNumber: event.data.blockNumber };
    case "LegDetected":
    case "LegClaimed":
    case "LegRefunded": {
      const { leg, transactionHash, blockNumber } = event.data;
      return { ...base, leg, transactionHash, blockNumber };
    }
    case "LegLocked":
    case "LegClaimFinalized":
    case "LegRefundFinalized":
      return { ...base, leg: event.data.leg, blockNumber: event.data.finalHeight };
    case "LegReorged":
      return {
        ...base,
        leg: event.data.leg,
        detail: `the ${event.data.undone} was reorganised out above block ${event.data.ancestor}`,
      };
  }
}
