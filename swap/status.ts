import { isOpen, type Leg, phaseOf, type Swap } from "./swap.ts";

/**
 * Every status a swap can have.
 * `initiatorLost` and `counterpartyLost` are the one-sided ends: that party gave its asset and got none.
 */
export const swapStatuses = [
  "requested",
  "sourceLocked",
  "targetLocked",
  "revealed",
  "completed",
  "refunding",
  "refunded",
  "failed",
  "initiatorLost",
  "counterpartyLost",
] as const;
export type SwapStatus = (typeof swapStatuses)[number];

/** The status: a pure function of what the legs show, the service's marks, and the time in Unix seconds. */
export function statusOf(swap: Swap, now: bigint): SwapStatus {
  const { source, target } = swap.legs;
  if (source.endFinal && target.endFinal) return endOf(swap);
  const s = phaseOf(source);
  const t = phaseOf(target);
  if (hasEnded(swap)) return s === "none" && t === "none" ? "failed" : "refunded";
  if (s === "refunded" || t === "refunded" || isPastTimelock(swap, now)) return "refunding";
  if (swap.givenUp && (isOpen(source) || isOpen(target))) return "refunding";
  if (swap.revealStarted || s === "claimed" || t === "claimed") return "revealed";
  if (t === "locked") return "targetLocked";
  if (s === "locked") return "sourceLocked";
  return "requested";
}

function endOf(swap: Swap): SwapStatus {
  const sourceClaimed = swap.legs.source.end?.kind === "claimed";
  const targetClaimed = swap.legs.target.end?.kind === "claimed";
  if (sourceClaimed && targetClaimed) return "completed";
  if (sourceClaimed) return "initiatorLost";
  return targetClaimed ? "counterpartyLost" : "refunded";
}

/** True when nothing can happen to the swap any more: every leg that was ever locked has ended in a final block. */
export function hasEnded(swap: Swap): boolean {
  const { source, target } = swap.legs;
  const settled = (leg: Leg, other: Leg) =>
    leg.endFinal || (leg.lock === undefined && (swap.givenUp !== undefined || other.endFinal));
  return settled(source, target) && settled(target, source) && !lockInFlight(swap);
}

function lockInFlight(swap: Swap): boolean {
  const inFlight = (step: "lock-source" | "lock-target", locked: boolean) =>
    !locked && swap.steps[step]?.state === "started";
  return (
    inFlight("lock-source", swap.legs.source.lock !== undefined) ||
    inFlight("lock-target", swap.legs.target.lock !== undefined)
  );
}

function isPastTimelock(swap: Swap, now: bigint): boolean {
  return (
    (isOpen(swap.legs.source) && now >= swap.terms.source.timelock) ||
    (isOpen(swap.legs.target) && now >= swap.terms.target.timelock)
  );
}
