import type { Deadlines } from "./deadlines.ts";
import { mayAgree } from "./earlyRefund.ts";
import type { LegName, StepName } from "./events.ts";
import { legOf, lockerOf, managed, type PartyName, partyOf, senderOf } from "./parties.ts";
import { hasEnded } from "./status.ts";
import { isOpen, phaseOf, type Swap } from "./swap.ts";

/** What the service does about a swap now. Times are Unix seconds. */
export type Action =
  | { readonly kind: "step"; readonly step: StepName; readonly attempt: number }
  /** The managed recipient of a leg agrees that it is refunded at once. */
  | { readonly kind: "agree"; readonly leg: LegName }
  /** Not to be taken further; what is locked waits for its refund. */
  | { readonly kind: "giveUp"; readonly code: string; readonly detail: string }
  /** `step`: what an external party is waited for to do. `detail`: what the code means here, in words. */
  | {
      readonly kind: "wait";
      readonly code: string;
      readonly until: bigint;
      readonly step?: StepName;
      readonly detail?: string;
    }
  | { readonly kind: "ended" };

/** Why nothing more is locked for a swap at present; claims and refunds go on. */
export type Hold = { readonly code: string; readonly detail?: string };

/** A step that is on its way is looked at again after this time even if nothing reports on it. */
const watchSeconds = 5n;

/** Steps that bring a swap forward and are only safe for a time; what is left are claims and refunds. */
export const isProgress = (swap: Swap, step: StepName): boolean =>
  !swap.revealStarted && !swap.publicSecret && (isLock(step) || step === "claim-target");

/**
 * The one place where the next step of a swap is chosen. Pure, so that the same code runs in the service, in tests and
 * in simulation. Claims with a public secret come first, refunds whose time has come next, progress last; what is under
 * way on one chain keeps nothing on the other from being done. Steps that only an external party can take are waited for.
 */
export function nextAction(swap: Swap, deadlines: Deadlines, now: bigint, hold?: Hold): Action {
  if (hasEnded(swap)) return { kind: "ended" };
  const due = [...closing(swap, deadlines, now)];
  const action = due.find(({ kind }) => kind !== "wait") ?? soonest(due);
  if (action) return action;
  if (swap.givenUp || swap.revealStarted || swap.publicSecret) return waitForEnd(swap, now);
  const forward = progress(swap, deadlines, now);
  return hold && isBeforeLock(forward) ? { ...waiting(hold.code, now), ...hold } : forward;
}

/** True of what a hold keeps from being done: a lock, and that an external party is asked for its lock. */
export const isBeforeLock = (action: Action): boolean =>
  (action.kind === "step" || action.kind === "wait") && action.step !== undefined && isLock(action.step);

/** What can be done to end legs, the most urgent first. */
function* closing(swap: Swap, deadlines: Deadlines, now: bigint): Iterable<Action> {
  const { source, target } = swap.legs;
  const timelock = (leg: LegName) => swap.terms[leg].timelock;
  if (swap.publicSecret && isOpen(source) && now < deadlines.sourceClaimUntil) {
    yield anyone(swap, "claim-source", now, timelock("source"));
  } else if (isOpen(source) && now >= timelock("source")) yield anyone(swap, "refund-source", now);
  if (isOpen(target) && now >= timelock("target")) yield anyone(swap, "refund-target", now);
  else if (isOpen(target) && (swap.revealStarted || swap.publicSecret)) {
    yield anyone(swap, "claim-target", now, timelock("target"));
  }
  const early = earlyRefund(swap, now);
  if (early) yield early;
}

const soonest = (actions: readonly Action[]): Action | undefined =>
  actions.reduce<Action | undefined>(
    (first, each) =>
      first?.kind === "wait" && each.kind === "wait" && each.until < first.until ? each : (first ?? each),
    undefined,
  );

/** What the recipient of a leg agreed to is done, or the agreement made that nothing speaks against any more. */
function earlyRefund(swap: Swap, now: bigint): Action | undefined {
  for (const leg of ["target", "source"] as const) {
    if (!isOpen(swap.legs[leg])) continue;
    const { earlyRefund: agreed, signatures, lockFinal } = swap.legs[leg];
    const signed = signatures["early-refund"];
    const step: StepName = `refund-early-${leg}`;
    if ((agreed || (signed && signed.deadline > now)) && lockFinal && senderOf(swap, step))
      return attempt(swap, step, now);
    if (mayAgree(swap, leg)) return { kind: "agree", leg };
  }
  return undefined;
}

function progress(swap: Swap, deadlines: Deadlines, now: bigint): Action {
  const source = phaseOf(swap.legs.source);
  const target = phaseOf(swap.legs.target);
  if (source === "none") {
    return (
      unknownLock(swap, "lock-source") ??
      late(swap, "lock-source", deadlines, now) ??
      beforeDeadline(swap, "lock-source", deadlines.sourceLockBy, now)
    );
  }
  if (source === "detected") return waiting("awaiting-finality", now);
  if (source !== "locked") return waitForEnd(swap, now);
  if (target === "none") {
    return (
      unknownLock(swap, "lock-target") ??
      late(swap, "lock-target", deadlines, now) ??
      beforeDeadline(swap, "lock-target", deadlines.counterLockBy, now)
    );
  }
  if (target === "detected") return waiting("awaiting-finality", now);
  if (target !== "locked") return waitForEnd(swap, now);
  if (!swap.secretKept) {
    // Nobody keeps it from claiming later, but from then on its secret could be out and its claim too late.
    if (now <= deadlines.revealBy) return awaiting("initiator", "claim-target", deadlines.revealBy + 1n);
    return { kind: "wait", code: "awaiting-timelock", until: swap.terms.target.timelock };
  }
  return beforeDeadline(swap, "claim-target", deadlines.revealBy, now);
}

/**
 * After a restore a lock may have been signed that is not known here, and may still be mined: another one would be a second
 * payment. One that an external party has not signed for us is only its own to send, and waited for.
 */
function unknownLock(swap: Swap, step: "lock-source" | "lock-target"): Action | undefined {
  if (!swap.restored || swap.steps[step]?.state === "started") return undefined;
  if (lockingAccount(swap, legOf(step)) === undefined) return undefined;
  const detail = `${step} may have been sent before the database was restored from a backup, so it is not sent again`;
  return { kind: "giveUp", code: "restored", detail };
}

/** Who would send a lock: its managed party, or who pays for one that an external party has signed. */
export function lockingAccount(swap: Swap, leg: LegName): string | undefined {
  const { lock, permit2 } = swap.legs[leg].signatures;
  return managed(swap[lockerOf(leg)]) ?? (lock || permit2 ? swap.payer : undefined);
}

/** An external party's lock that was sent in time may be mined later, and is good as long as the next step still is. */
function late(swap: Swap, step: "lock-source" | "lock-target", deadlines: Deadlines, now: bigint): Action | undefined {
  const [by, next] =
    step === "lock-source"
      ? [deadlines.sourceLockBy, deadlines.counterLockBy]
      : [deadlines.counterLockBy, deadlines.revealBy];
  const ours = managed(swap[partyOf(step)]) !== undefined || swap.steps[step] !== undefined;
  return ours || now <= by || now > next ? undefined : { kind: "wait", code: "lock-may-come", until: next + 1n };
}

/** A step that is only safe until its deadline: tried until then, given up after it unless it is on its way. */
function beforeDeadline(swap: Swap, step: StepName, deadline: bigint, now: bigint): Action {
  const current = swap.steps[step];
  if (current?.state === "started") return attempt(swap, step, now);
  if (now <= deadline)
    return canSend(swap, step, now) ? attempt(swap, step, now) : awaiting(partyOf(step), step, deadline + 1n);
  const failure = current?.failure;
  return {
    kind: "giveUp",
    code: failure?.code ?? "deadline-passed",
    detail: failure
      ? `${step} did not succeed in time: ${failure.detail}`
      : `${step} was safe only until ${deadline}, and it is ${now}`,
  };
}

/** An external party's lock can be sent once it has signed it, and while the signature is good. */
function canSend(swap: Swap, step: StepName, now: bigint): boolean {
  if (senderOf(swap, step) === undefined) return false;
  if (!isLock(step) || managed(swap[partyOf(step)]) !== undefined) return true;
  if (swap.terms[legOf(step)].tip > 0n) return false;
  const { lock, permit2 } = swap.legs[legOf(step)].signatures;
  return [lock, permit2].some((signed) => signed !== undefined && now <= signed.deadline);
}

/** A claim or refund, which is anyone's to send: ours where somebody pays for it, else its party's. */
function anyone(swap: Swap, step: StepName, now: bigint, until?: bigint): Action {
  if (senderOf(swap, step) !== undefined) return attempt(swap, step, now);
  const soon = now + watchSeconds;
  return awaiting(partyOf(step), step, until !== undefined && until > now ? until : soon);
}

function attempt(swap: Swap, step: StepName, now: bigint): Action {
  const current = swap.steps[step];
  if (!current) return { kind: "step", step, attempt: 1 };
  if (current.state === "started") return waiting("step-in-progress", now);
  const retryAt = current.failure?.retryAt ?? now;
  if (now < retryAt) return { kind: "wait", code: "step-retry", until: retryAt };
  return { kind: "step", step, attempt: current.attempt + 1 };
}

/** Nothing to do until a timelock runs out, a claim turns up, or the last receipts are final. */
function waitForEnd(swap: Swap, now: bigint): Action {
  const times = (["source", "target"] as const)
    .filter((leg) => isOpen(swap.legs[leg]))
    .map((leg) => swap.terms[leg].timelock)
    .filter((time) => time > now);
  if (times.length === 0) return waiting("awaiting-finality", now);
  return { kind: "wait", code: "awaiting-timelock", until: times.reduce((a, b) => (a < b ? a : b)) };
}

const isLock = (step: StepName) => step === "lock-source" || step === "lock-target";

const waiting = (code: string, now: bigint): Action => ({ kind: "wait", code, until: now + watchSeconds });

const awaiting = (by: PartyName, step: StepName, until: bigint): Action => ({
  ...{ kind: "wait", code: `awaiting-${by}`, until, step },
});
