import type { Clock } from "./clock.ts";
import { isRetryable } from "./errors.ts";

/** What a step says of itself: more work is there, nothing to do for now, or never again. */
export type StepAnswer = "continue" | "idle" | "fatal";

export type LoopFailure = { readonly failures: number; readonly fatal: boolean; readonly retryInMs: number };

export type LoopOptions = {
  /** One unit of work. The signal aborts when the loop is stopped; the step may finish or give up early. */
  step(signal: AbortSignal): Promise<StepAnswer>;
  readonly clock: Clock;
  /** Longest time between two steps when nothing wakes the loop, in milliseconds. */
  readonly idleMs: number;
  /** Delays after the first failure in a row and at most, in milliseconds; they double in between. */
  readonly backoff?: { readonly firstMs: number; readonly maxMs: number };
  /** Called for every error a step throws; for the log. Must not throw. */
  onError(error: unknown, failure: LoopFailure): void;
};

/** A supervised background loop. */
export type Loop = {
  /** Runs the step again soon, even if it just answered `idle`. Cheap, and many calls are one. */
  wake(): void;
  /** Ends the loop and waits for the running step. */
  stop(): Promise<void>;
  /** How it ended. Never rejects. */
  readonly ended: Promise<"stopped" | "fatal">;
};

const defaultBackoff = { firstMs: 100, maxMs: 30_000 };

/**
 * Runs a step over and over: again at once on `continue`, on `idle` after a wake-up or `idleMs`. A step that throws is
 * retried with growing delays when the error is retryable (a wake-up does not shorten them), and ends the loop when it
 * is not, as `fatal` does.
 */
export function startLoop(options: LoopOptions): Loop {
  const { clock, backoff = defaultBackoff } = options;
  const stopping = new AbortController();
  let waiting: AbortController | undefined;
  let woken = false;

  /** How long to wait before the next attempt, undefined when there is none. */
  const afterFailure = (error: unknown, failures: number): number | undefined => {
    const fatal = !isRetryable(error);
    const retryInMs = fatal ? 0 : Math.min(backoff.firstMs * 2 ** (failures - 1), backoff.maxMs);
    options.onError(error, { failures, fatal, retryInMs });
    return fatal ? undefined : retryInMs;
  };

  const run = async (): Promise<"stopped" | "fatal"> => {
    let failures = 0;
    while (!stopping.signal.aborted) {
      woken = false;
      try {
        const answer = await options.step(stopping.signal);
        failures = 0;
        if (answer === "fatal") return "fatal";
        if (answer === "continue" || woken || stopping.signal.aborted) continue;
        waiting = new AbortController();
        await clock.sleep(options.idleMs, waiting.signal);
        waiting = undefined;
      } catch (error) {
        if (stopping.signal.aborted) break;
        failures += 1;
        const delay = afterFailure(error, failures);
        if (delay === undefined) return "fatal";
        await clock.sleep(delay, stopping.signal);
      }
    }
    return "stopped";
  };

  // A turn later, so that a step may refer to its own loop.
  const ended = Promise.resolve().then(run);
  return {
    wake() {
      woken = true;
      // A reason of its own spares the making of an error, with its stack, at every wake-up.
      waiting?.abort("woken");
    },
    async stop() {
      stopping.abort();
      waiting?.abort();
      await ended;
    },
    ended,
  };
}
