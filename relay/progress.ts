import type { Hex } from "#core/kernel/codec.ts";
import type { MessageEvent } from "./events.ts";

/** What was seen of a message at its destination. */
export type Outcome = { readonly block: bigint; readonly final: boolean };

/**
 * How far a message has come: all that decisions about it rest on. The read model has the same fields as columns, so
 * that the rules below are the only ones.
 */
export type Progress = {
  readonly origin: string;
  readonly destination: string;
  /** Asked for through the API: its transaction is this service's, and is sent until it is final. */
  readonly submitted: boolean;
  readonly dropped: boolean;
  /** Its place in the lane while a block of the origin has it. */
  readonly sent?: {
    readonly nonce: bigint;
    readonly onchainId: Hex;
    readonly accumulator: Hex;
    readonly gasLimit: bigint;
    readonly payloadBytes: number;
    readonly block: bigint;
    readonly final: boolean;
  };
  readonly attested: boolean;
  readonly delivery?: {
    readonly intentId: string;
    readonly attempt: number;
    /** Unix milliseconds of the next attempt once this one has failed. */
    readonly retryAt?: bigint;
  };
  /** The first attempt's failure, or that the lane jumped over it; stays when a retry succeeds. */
  readonly failed?: Outcome;
  readonly executed?: Outcome;
  /**
   * The on-chain id that the outcomes are of, while no block of the origin has the message. What a destination has done
   * stays done when an origin reorganises, and is done to an id: under another id the message is one more message.
   */
  readonly outcomeId?: Hex;
  readonly retry?: { readonly attempt: number; readonly running: boolean };
};

export const messageStatuses = [
  "submitted",
  "sent",
  "final",
  "attested",
  "delivering",
  "delivered",
  "failed",
  "dropped",
] as const;
export type MessageStatus = (typeof messageStatuses)[number];

/** The status: a pure function of the progress. */
export function statusOf(progress: Progress): MessageStatus {
  if (progress.executed) return "delivered";
  if (!progress.sent) return progress.submitted && !progress.dropped ? "submitted" : "dropped";
  if (progress.retry?.running) return "delivering";
  if (progress.failed) return "failed";
  if (progress.delivery && progress.delivery.retryAt === undefined) return "delivering";
  if (progress.attested) return "attested";
  return progress.sent.final ? "final" : "sent";
}

/** Nothing can happen to it any more. */
export const hasEnded = (progress: Progress): boolean =>
  progress.executed?.final === true || (progress.dropped && !progress.sent);

/** As the next attempt of a delivery that is only tried again when somebody asks. */
export const never = 2n ** 62n;

export function evolveProgress(progress: Progress | undefined, event: MessageEvent): Progress {
  const { origin, destination } = event.data;
  const before = progress ?? { origin, destination, submitted: false, dropped: false, attested: false };
  switch (event.type) {
    case "MessageSubmitted":
      return { ...before, submitted: true };
    case "MessageSent":
      return sentAgain(before, event.data);
    case "MessageReorged":
      return withoutPlace(before);
    case "MessageDropped":
      return { ...before, dropped: true };
    case "MessageFinalized":
      return before.sent ? { ...before, sent: { ...before.sent, final: true } } : before;
    case "MessageAttested":
      return { ...before, attested: true };
    default:
      return evolveDelivery(before, event);
  }
}

type DeliveryEvent = Exclude<
  MessageEvent,
  {
    type:
      | "MessageSubmitted"
      | "MessageSent"
      | "MessageReorged"
      | "MessageDropped"
      | "MessageFinalized"
      | "MessageAttested";
  }
>;

function evolveDelivery(before: Progress, event: DeliveryEvent): Progress {
  switch (event.type) {
    case "DeliveryStarted": {
      const { intentId, attempt } = event.data;
      return { ...before, delivery: { intentId, attempt } };
    }
    case "DeliveryFailed": {
      const { attempt, retryAt } = event.data;
      if (before.delivery && before.delivery.attempt > attempt) return before;
      // Without an intent where the dry-run said that it could not succeed.
      return { ...before, delivery: { intentId: before.delivery?.intentId ?? "", attempt, retryAt } };
    }
    case "MessageDelivered":
      return { ...before, executed: { block: event.data.blockNumber, final: false }, ...endRetry(before) };
    case "MessageFailed":
      return { ...before, failed: { block: event.data.blockNumber, final: false } };
    case "MessageSkipped":
      return before.failed || before.executed
        ? before
        : { ...before, failed: { block: event.data.blockNumber, final: false } };
    case "DeliveryFinalized": {
      const key = event.data.outcome === "delivered" ? "executed" : "failed";
      const outcome = before[key];
      return outcome ? { ...before, [key]: { ...outcome, final: true } } : before;
    }
    case "DeliveryReorged":
      return withoutOutcome(before, event.data.undone);
    case "RetryStarted":
      return { ...before, retry: { attempt: event.data.attempt, running: true } };
    case "RetryFailed":
      return { ...before, retry: { attempt: event.data.attempt, running: false } };
    case "MessageDeadLettered":
      return postponed(before, never);
    case "MessageRevived":
      return postponed(before, event.data.retryAt);
    case "MessageAbandoned":
      return before;
  }
}

function sentAgain(before: Progress, data: Extract<MessageEvent, { type: "MessageSent" }>["data"]): Progress {
  const { nonce, onchainId, accumulator, gasLimit, payload, blockNumber } = data;
  const payloadBytes = (payload.length - 2) / 2;
  const { origin, destination } = data;
  const { outcomeId, failed: _failed, executed: _executed, retry: _retry, ...rest } = withoutPlace(before);
  const outcomes = outcomeId === onchainId ? outcomesOf(before) : {};
  return {
    ...{ ...rest, ...outcomes, origin, destination },
    dropped: false,
    sent: { nonce, onchainId, accumulator, gasLimit, payloadBytes, block: blockNumber, final: false },
  };
}

/** What was known of its way belongs to the place in the lane that it no longer has; what was done to its id stays. */
function withoutPlace(before: Progress): Progress {
  const { origin, destination, submitted, dropped, sent, outcomeId = sent?.onchainId } = before;
  const place = { origin, destination, submitted, dropped, attested: false };
  if (!before.executed && !before.failed) return place;
  return { ...place, ...outcomesOf(before), ...(outcomeId && { outcomeId }) };
}

const outcomesOf = ({ failed, executed, retry }: Progress): Pick<Progress, "failed" | "executed" | "retry"> => ({
  ...(failed && { failed }),
  ...(executed && { executed }),
  ...(retry && { retry }),
});

/**
 * Without a first attempt there was no retry either. What was final and is gone all the same had a transaction that the
 * sender is done with, so nothing is on its way any more and the next attempt is a new one. So it is where others had
 * delivered what was given up here: that it can be delivered was seen, and nobody else may do it again.
 */
function withoutOutcome(before: Progress, undone: "delivered" | "failed"): Progress {
  const { executed, failed, outcomeId, ...rest } = before;
  const wasFinal = (undone === "delivered" ? executed : failed)?.final === true;
  const isOver = wasFinal || before.delivery?.retryAt === never;
  const stopped = isOver && before.delivery ? { delivery: { ...before.delivery, retryAt: 0n } } : {};
  const kept = { ...rest, ...(wasFinal && endRetry(before)) };
  if (undone === "delivered" && failed) return { ...kept, failed, ...(outcomeId && { outcomeId }) };
  return { ...kept, ...stopped };
}

/** The next attempt of a delivery; retries of what has failed have times of their own. */
function postponed(before: Progress, retryAt: bigint): Progress {
  if (!before.delivery || before.delivery.retryAt === undefined || before.failed) return before;
  return { ...before, delivery: { ...before.delivery, retryAt } };
}

const endRetry = ({ retry }: Progress) => (retry ? { retry: { ...retry, running: false } } : {});
