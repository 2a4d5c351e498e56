import { LockstepError } from "#core/kernel/errors.ts";
import type { SwapView } from "./schemas.ts";

const isOpen = ({ state }: SwapView["source"]): boolean => state === "locked" || state === "detected";

/** Throws `swap-not-claimable` while no claim can be sent yet, and `swap-over` once none ever will be. */
export function requireClaimable(swap: SwapView): void {
  const { source, target, status } = swap;
  const revealable = status !== "refunding" && source.state === "locked" && target.state === "locked";
  const secretIsOut = target.state === "claimed" && isOpen(source);
  if (revealable || secretIsOut) return;
  const over = hasEnded(swap) || isClosed(source) || target.state === "refunded";
  throw new LockstepError(
    over ? "swap-over" : "swap-not-claimable",
    `source leg ${source.state}, target leg ${target.state}, status ${status}; ${
      over ? "no leg will be claimed any more" : "a claim needs both legs locked in time, or a published secret"
    }`,
    { details: { status } },
  );
}

/** Throws `swap-not-refundable` while no timelock has run out, and `swap-over` where there is nothing to refund for good. */
export function requireRefundable(swap: SwapView, now: bigint): void {
  const { source, target, status } = swap;
  const timelocks = [source, target].filter(isOpen).map(({ timelock }) => timelock);
  if (timelocks.some((timelock) => now >= timelock)) return;
  const first = timelocks.reduce<bigint | undefined>((a, b) => (a === undefined || b < a ? b : a), undefined);
  if (first === undefined && (hasEnded(swap) || (isClosed(source) && isClosed(target)))) {
    throw new LockstepError("swap-over", `no leg of the swap is locked, and none will be: it is ${status}`, {
      details: { status },
    });
  }
  throw new LockstepError(
    "swap-not-refundable",
    first === undefined
      ? "no leg of the swap is locked yet"
      : `the first timelock runs out at ${first}, and it is ${now}`,
    { details: { status, ...(first !== undefined && { timelock: first, now }) } },
  );
}

const isClosed = ({ state }: SwapView["source"]): boolean => state === "claimed" || state === "refunded";

/**
 * Neither leg is locked any more, a reorganisation apart. `refunding` is no end: a target timelock that has run out says
 * nothing of a claim that was mined before it and is read later, and makes the source leg claimable.
 */
const hasEnded = ({ status }: SwapView): boolean =>
  ["completed", "refunded", "failed", "initiatorLost", "counterpartyLost"].includes(status);
