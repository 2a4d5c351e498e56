import type { ReasonCode } from "./reasons.ts";

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;

/** Milliseconds before each next attempt, by how many have failed in a row. */
type Ramp = {
  readonly steps: readonly number[];
  /** After the last step: stay on it for ever, or give the message up until somebody asks. */
  readonly after: "stay" | "dead";
};

const waiting = (...seconds: number[]): Ramp => ({ steps: seconds.map((each) => each * second), after: "stay" });

/** Quick at first, three minutes for an hour, then ever more seldom for a day. */
const tail = [
  ...Array<number>(20).fill(3 * minute),
  10 * minute,
  30 * minute,
  hour,
  ...Array<number>(12).fill(2 * hour),
];
const failing = (...seconds: number[]): Ramp => ({
  steps: [...seconds.map((each) => each * second), ...tail],
  after: "dead",
});

/** Steps from here on are jittered, so that what failed together is not tried again together for ever. */
const jitterFrom = 4 * minute;

/** What ends by itself or by somebody's doing elsewhere is waited for without end; what fails is given up one day. */
const ramps: Partial<Record<ReasonCode, Ramp>> = {
  "awaiting-quorum": waiting(2, 2, 2, 5, 10, 30, 60),
  "validator-set-mismatch": waiting(2, 5, 10, 30, 60),
  "awaiting-header": waiting(1, 2, 2, 5, 10, 30, 60),
  "header-conflict": waiting(60),
  "endpoint-down": waiting(1, 2, 5, 10, 30, 60),
  "destination-paused": waiting(2, 5, 10, 30, 60),
  "bucket-empty": waiting(1, 2, 5, 10),
  "gas-price-too-high": waiting(5, 10, 30, 60),
  unprofitable: waiting(10, 30, 60, 180, 600),
  "lane-denied": waiting(60),
  "message-denied": waiting(60),
  deferring: waiting(1, 2, 5, 10, 30, 60),
  "retry-reverts": failing(5, 10, 30, 60),
  "dry-run-reverts": failing(1, 5, 10, 30, 60),
};
const delivery = failing(1, 5, 10, 30, 60);

export type NextAttempt = { readonly delayMs: number } | "dead";

/** When to try again after `misses` failures in a row (1 is the first); `random` is from 0 to 1. */
export function nextAttempt(code: ReasonCode, misses: number, random = 0.5): NextAttempt {
  const { steps, after } = ramps[code] ?? delivery;
  const step = steps[Math.max(misses, 1) - 1];
  if (step === undefined && after === "dead") return "dead";
  const delayMs = step ?? steps.at(-1) ?? minute;
  return { delayMs: Math.round(after === "dead" && delayMs > jitterFrom ? delayMs * (0.8 + 0.4 * random) : delayMs) };
}

/** As `nextAttempt`, for reasons that are waited for without end. */
export function waitMs(code: ReasonCode, misses: number): number {
  const next = nextAttempt(code, misses);
  return next === "dead" ? 2 * hour : next.delayMs;
}

/** Attempts until a message is given up; undefined for what is waited for without end. */
export function attemptsOf(code: ReasonCode): number | undefined {
  const { steps, after } = ramps[code] ?? delivery;
  return after === "dead" ? steps.length + 1 : undefined;
}
