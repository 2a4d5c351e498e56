import { toFunctionSelector } from "viem";
import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { MessageEvent } from "./events.ts";
import { nextAttempt } from "./ramp.ts";

/** What became of the attempts at a message, and when it is tried again by itself. */
export type Attempts = {
  /** How many have failed in a row since it was sent, failed at its recipient, or was revived. */
  readonly misses: number;
  /** Unix milliseconds of the next retry of a message that failed. */
  readonly retryAt?: bigint;
  readonly dead?: { readonly code: string; readonly detail: string; readonly attempts: number };
  readonly abandoned?: true;
  /**
   * It failed at its destination, or the lane jumped over it. That is true of its id, so it outlives a block of the
   * origin: under another id it is another message.
   */
  readonly failed?: true;
};

export const noAttempts: Attempts = { misses: 0 };

const deferredSelector = toFunctionSelector("Deferred(bytes32)");

/** True for the failure of a message that an operator holds back: retrying it unasked would undo what was decided. */
export const isDeferral = (reason: Hex): boolean => reason.startsWith(deferredSelector);

export function evolveAttempts(before: Attempts, event: StoredEvent<MessageEvent>): Attempts {
  switch (event.type) {
    case "DeliveryFailed":
      // What the destination left for later is nobody's failure.
      return event.data.code === "bucket-empty" ? before : { ...before, misses: before.misses + 1 };
    case "MessageFailed":
      return { ...failedOnce, ...(!isDeferral(event.data.reason) && { retryAt: firstRetryAt(event.at) }) };
    case "MessageSkipped":
      return { ...failedOnce, ...(event.data.retryable && { retryAt: firstRetryAt(event.at) }) };
    case "RetryStarted": {
      const { retryAt: _retryAt, ...rest } = before;
      return rest;
    }
    case "RetryFailed": {
      const { retryAt } = event.data;
      const { retryAt: _before, ...rest } = before;
      return { ...rest, misses: before.misses + 1, ...(retryAt !== undefined && { retryAt }) };
    }
    case "MessageDeadLettered": {
      const { code, detail, attempts } = event.data;
      return { ...anew(before), misses: before.misses, dead: { code, detail, attempts } };
    }
    case "MessageRevived":
      return { ...anew(before), retryAt: event.data.retryAt };
    case "MessageAbandoned":
      return { ...anew(before), misses: before.misses, abandoned: true };
    case "MessageSent":
    case "MessageReorged":
      return before.failed ? before : noAttempts;
    case "MessageDelivered":
      return anew(before);
    case "DeliveryReorged":
      // Executed once and undone: what had failed before that is tried again, whatever was decided then.
      return event.data.undone === "failed" ? noAttempts : { ...anew(before), retryAt: firstRetryAt(event.at) };
    default:
      return before;
  }
}

const failedOnce: Attempts = { misses: 0, failed: true };
const anew = ({ failed }: Attempts): Attempts => (failed ? failedOnce : noAttempts);

function firstRetryAt(at: Date): bigint {
  const next = nextAttempt("retry-reverts", 1);
  return BigInt(at.getTime() + (next === "dead" ? 0 : next.delayMs));
}
