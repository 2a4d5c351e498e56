import type { LegName } from "./events.ts";
import { claimerOf, managed } from "./parties.ts";
import { isOpen, type Swap } from "./swap.ts";

/**
 * Whether the managed recipient of a leg may sign that it is refunded before its timelock.
 * Of the source leg: the counterparty gives up what it would be paid, so it must have nothing at stake on the target
 * leg. It never signed a lock there, or every one that it signed is known to have had no effect for good, or its own
 * refund is final. Of the target leg: the initiator gives up its claim, so no claim may be under way and its secret
 * must be its own still. In both cases the swap must be one that is not taken further, and everything that was signed for
 * it must be known here, which after a restore it is not.
 */
export function mayAgree(swap: Swap, leg: LegName): boolean {
  const { source, target } = swap.legs;
  const { lockFinal, earlyRefund } = swap.legs[leg];
  if (managed(swap[claimerOf(leg)]) === undefined) return false;
  if (!isOpen(swap.legs[leg]) || !lockFinal || earlyRefund) return false;
  if (swap.publicSecret || swap.revealStarted || swap.restored) return false;
  if (leg === "target") return swap.givenUp !== undefined && swap.steps["claim-target"]?.state !== "started";
  const ownRefundFinal = target.end?.kind === "refunded" && target.endFinal;
  const nothingLocked = target.lock === undefined && target.end === undefined;
  const neverSigned = nothingLocked && swap.steps["lock-target"]?.state !== "started";
  return source.lock !== undefined && (ownRefundFinal || (swap.givenUp !== undefined && neverSigned));
}
