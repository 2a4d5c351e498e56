import type { StoredEvent } from "#core/events/store.ts";
import { deciderName } from "./brakes/deciders.ts";
import { deadlinesOf, type SwapTiming } from "./deadlines.ts";
import type { LegName, SwapEvent } from "./events.ts";
import { type Action, type Hold, nextAction } from "./nextAction.ts";
import { wordsFor } from "./reasons.ts";
import type { SwapView, TimelineEntry } from "./schemas.ts";
import { statusOf } from "./status.ts";
import { foldSwap, phaseOf, type Sighting, type Swap } from "./swap.ts";

/** A swap as the API shows it, from its events and the time alone. Unix seconds; undefined without events. */
export function viewOf(
  events: readonly StoredEvent<SwapEvent>[],
  timingOf: (swap: Swap) => SwapTiming,
  now: bigint,
  holdOf: (swap: Swap) => Hold | undefined = () => undefined,
): SwapView | undefined {
  const swap = foldSwap(events);
  if (!swap) return undefined;
  const timelocks = { source: swap.terms.source.timelock, target: swap.terms.target.timelock };
  const deadlines = deadlinesOf(timingOf(swap), timelocks);
  return {
    id: swap.id,
    status: statusOf(swap, now),
    reason: reasonOf(swap, nextAction(swap, deadlines, now, holdOf(swap))),
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

function reasonOf(swap: Swap, action: Action): SwapView["reason"] {
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
        : { code: "ended", message: wordsFor("ended") + failureWords(swap) };
    case "giveUp":
      return { code: action.code, message: action.detail };
    case "agree":
      return { code: "early-refund", message: `the recipient of the ${action.leg} leg agrees that it is refunded now` };
    case "step":
      return { code: action.step, message: `the next step, ${action.step}, is due` };
    case "wait":
      return withCause(action.code, action.detail ?? wordsFor(action.code), swap);
  }
}

/** What a swap that was not completed failed by. */
function failureWords({ steps, publicSecret }: Swap): string {
  const failed = Object.entries(steps).find(([step, { state }]) => /^(lock|claim)-/.test(step) && state === "failed");
  return failed && !publicSecret ? `; ${failed[0]} did not succeed: ${failed[1].failure?.detail}` : "";
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
    case "SecretReceived":
      return { ...base, detail: "the service claims for the initiator, with the secret that it was given" };
    case "SignatureReceived":
      return { ...base, leg: event.data.leg, detail: `signed: ${event.data.kind}` };
    case "EarlyRefundAgreed":
      return { ...base, leg: event.data.leg, detail: "its recipient agreed that it is refunded before the timelock" };
    case "LegPlaced": {
      const { leg, batch } = event.data;
      const detail = batch ? `to be locked together with ${batch.leaves.length - 1} others` : "to be locked by itself";
      return { ...base, leg, detail };
    }
    case "StepStarted":
      return { ...base, detail: `${event.data.step}, attempt ${event.data.attempt}` };
    case "StepFailed":
      return { ...base, code: event.data.code, detail: `${event.data.step}: ${event.data.detail}` };
    case "SwapApproved":
    case "SwapRejected": {
      const { step, by, detail } = event.data;
      return { ...base, detail: `${step}, by ${deciderName(by)}${detail === undefined ? "" : `: ${detail}`}` };
    }
    case "SwapGivenUp":
      return { ...base, code: event.data.code, detail: event.data.detail };
    case "SwapRestored":
      return { ...base, detail: "the database was restored from a backup: nothing more is locked for the swap" };
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
