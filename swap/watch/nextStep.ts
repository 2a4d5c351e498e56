import type { WatchEvent, WatchStep } from "./events.ts";
import type { Watch } from "./watch.ts";

/** What the ledger has under the id of a watched lock, and what is known of its secret. */
export type Sight = {
  /** `absent`: a reorganisation removed it. An end is final once nothing under the id is open or not final. */
  readonly lock:
    | { readonly state: "absent" | "open" }
    | { readonly state: "ended"; readonly kind: "claimed" | "refunded"; readonly final: boolean };
  readonly secretPublic: boolean;
};

/** Unix seconds. */
export type WatchTimes = {
  /** The lock's timelock: claim before, refund from. */
  readonly timelock: bigint;
  /** Until then a claim is tried: the timelock, on a chain whose time lags by its bound. */
  readonly claimUntil: bigint;
  /** From then on a lock that is not there cannot come back. */
  readonly goneFrom: bigint;
};

export type WatchAction =
  | { readonly kind: "step"; readonly step: WatchStep; readonly attempt: number }
  | { readonly kind: "wait"; readonly code: WatchWait; readonly until: bigint }
  | { readonly kind: "end"; readonly outcome: Extract<WatchEvent, { type: "WatchEnded" }>["data"]["outcome"] }
  | { readonly kind: "ended" };

export type WatchWait =
  | "awaiting-finality"
  | "awaiting-timelock"
  | "reorganised-out"
  | "step-in-progress"
  | "step-retry"
  | "watchtower-off";

/** The last second of the year 9999: a stranger's timelock can be later than any date there is. */
const latestDate = 253_402_300_799n;
/** What nothing reports on is looked at again after this time. */
const watchSeconds = 2n;
/** A stranger's lock is given up after so many mined reverts (its token may be made to cost gas) … */
const mostReverts = 3;
/** … or after so many failures of any kind: it takes the place of one that can be finished. */
const mostFailures = 40;

/**
 * The one place where the next step for a watched lock is chosen; pure. A claim comes first as long as its window may be
 * open, a refund from the timelock on. Funds only go where the terms say, so a step too many costs gas and nothing else.
 */
export function nextStep(watch: Watch, { lock, secretPublic }: Sight, times: WatchTimes, now: bigint): WatchAction {
  if (watch.outcome) return { kind: "ended" };
  if (lock.state === "ended") {
    return lock.final ? { kind: "end", outcome: lock.kind } : soon("awaiting-finality", now);
  }
  if (lock.state === "absent") {
    if (now >= times.goneFrom) return { kind: "end", outcome: "gone" };
    return wait("reorganised-out", times.goneFrom);
  }
  if (watch.taken && !watch.taken.failure) return soon("step-in-progress", now);
  if (isHopeless(watch)) return { kind: "end", outcome: "failed" };
  if (secretPublic && now < times.claimUntil) return attempt(watch, "claim", now);
  if (now < times.timelock) return wait("awaiting-timelock", times.timelock);
  if (watch.refunds) return attempt(watch, "refund", now);
  if (now < times.claimUntil) return wait("awaiting-timelock", times.claimUntil);
  return { kind: "end", outcome: "missed" };
}

/** Seconds until a failed step is tried again: more each time, but several times before the claim's window closes. */
export function retrySeconds(step: WatchStep, attempt: number, times: WatchTimes, now: bigint): bigint {
  const ramp = least(BigInt(2 ** Math.min(attempt - 1, 12)), 3_600n);
  const left = times.claimUntil - now;
  return step === "claim" ? least(ramp, most(left / 8n, 1n)) : ramp;
}

function attempt(watch: Watch, step: WatchStep, now: bigint): WatchAction {
  const { taken } = watch;
  const retryAt = taken?.step === step ? taken.failure?.retryAt : undefined;
  if (retryAt !== undefined && now < retryAt) return wait("step-retry", retryAt);
  return { kind: "step", step, attempt: watch.attempts[step] + 1 };
}

const isHopeless = ({ account, reverts, failures }: Watch) =>
  account === undefined && (reverts >= mostReverts || failures >= mostFailures);

const soon = (code: WatchWait, now: bigint) => wait(code, now + watchSeconds);
const wait = (code: WatchWait, until: bigint): WatchAction => ({ kind: "wait", code, until: least(until, latestDate) });
const least = (a: bigint, b: bigint) => (a < b ? a : b);
const most = (a: bigint, b: bigint) => (a > b ? a : b);
