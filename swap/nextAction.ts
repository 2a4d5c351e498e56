import type { Deadlines } from "./deadlines.ts";
import type { LegName, StepName } from "./events.ts";
import { hasEnded } from "./status.ts";
import { isOpen, phaseOf, type Swap } from "./swap.ts";

/** What the service does about a swap now. Times are Unix seconds. */
export type Action =
  | { readonly kind: "step"; readonly step: StepName; readonly attempt: number }
  /** Not to be taken further; what is locked waits for its refund. */
  | { readonly kind: "giveUp"; readonly code: string; readonly detail: string }
  | { readonly kind: "wait"; readonly code: string; readonly until: bigint }
  | { readonly kind: "ended" };

/** A step that is on its way is looked at again after this time even if nothing reports on it. */
const watchSeconds = 5n;

/** Steps that bring a swap forward and are only safe for a time; what is left are claims and refunds. */
export const isProgress = (swap: Swap, step: StepName): boolean =>
  !swap.revealStarted && (step === "lock-source" || step === "lock-target" || step === "claim-target");

/**
 * The one place where the next step of a swap is chosen. Pure, so that the same code runs in the service, in tests and
 * in simulation. Claims with a public secret come first, refunds whose time has come next, progress last. `held`: a chain
 * of the swap is paused, so that nothing more is locked; claims and refunds go on.
 */
export function nextAction(swap: Swap, deadlines: Deadlines, now: bigint, held = false): Action {
  if (hasEnded(swap)) return { kind: "ended" };
  const { source, target } = swap.legs;
  if (target.end?.kind === "claimed" && isOpen(source) && now < deadlines.sourceClaimUntil) {
    return attempt(swap, "claim-source", now);
  }
  if (isOpen(target) && now >= swap.terms.target.timelock) return attempt(swap, "refund-target", now);
  if (isOpen(source) && now >= swap.terms.source.timelock) return attempt(swap, "refund-source", now);
  if (swap.revealStarted && isOpen(target)) return attempt(swap, "claim-target", now);
  if (swap.givenUp || swap.revealStarted) return waitForEnd(swap, now);
  const action = progress(swap, deadlines, now);
  return held && action.kind === "step" && isLock(action.step) ? waiting("chain-paused", now) : action;
}

function progress(swap: Swap, deadlines: Deadlines, now: bigint): Action {
  const source = phaseOf(swap.legs.source);
  const target = phaseOf(swap.legs.target);
  if (source === "none") return beforeDeadline(swap, "lock-source", deadlines.sourceLockBy, now);
  if (source === "detected") return waiting("awaiting-finality", now);
  if (source !== "locked") return waitForEnd(swap, now);
  if (target === "none") return beforeDeadline(swap, "lock-target", deadlines.counterLockBy, now);
  if (target === "detected") return waiting("awaiting-finality", now);
  if (target !== "locked") return waitForEnd(swap, now);
  return beforeDeadline(swap, "claim-target", deadlines.revealBy, now);
}

/** A step that is only safe until its deadline: tried until then, given up after it unless it is on its way. */
function beforeDeadline(swap: Swap, step: StepName, deadline: bigint, now: bigint): Action {
  const current = swap.steps[step];
  if (now <= deadline || current?.state === "started") return attempt(swap, step, now);
  const failure = current?.failure;
  return {
    kind: "giveUp",
    code: failure?.code ?? "deadline-passed",
    detail: failure
      ? `${step} did not succeed in time: ${failure.detail}`
      : `${step} was safe only until ${deadline}, and it is ${now}`,
  };
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
  const times = (["target", "source"] satisfies LegName[])
    .filter((leg) => isOpen(swap.legs[leg]))
    .map((leg) => swap.terms[leg].timelock)
    .filter((time) => time > now);
  if (times.length === 0) return waiting("awaiting-finality", now);
  return { kind: "wait", code: "awaiting-timelock", until: times.reduce((a, b) => (a < b ? a : b)) };
}

const isLock = (step: StepName) => step === "lock-source" || step === "lock-target";

const waiting = (code: string, now: bigint): Action => ({ kind: "wait", code, until: now + watchSeconds });
