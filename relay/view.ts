import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Waiting } from "#core/sender/sender.ts";
import type { MessageEvent } from "./events.ts";
import { describeReason } from "./failure.ts";
import { type LaneHold, laneName } from "./lane.ts";
import { foldMessage, type Message } from "./message.ts";
import { hasEnded, statusOf } from "./progress.ts";
import { evaluateQuorum } from "./protocol/quorum.ts";
import type { MessageView, QuorumView, TimelineEntry } from "./schemas.ts";
import { describeThreshold, type ValidatorEpoch } from "./validators.ts";

/** What stands in a lane's way, and when it is tried again. */
export type LaneTrouble = { readonly code: string; readonly detail: string; readonly dueAt: Date };

/** What a message's reason rests on besides its own events. */
export type LaneContext = {
  /** The newest valid epoch. */
  readonly book: ValidatorEpoch;
  /** The newest nonce of the lane that each validator signed. */
  readonly heads: ReadonlyMap<Hex, bigint>;
  readonly trouble?: LaneTrouble;
  /** The lane is paused, or its destination. */
  readonly hold?: LaneHold;
  /** Why intents wait that are in no block, of those that something is known of. */
  readonly intents?: ReadonlyMap<string, Waiting>;
};

type Reason = MessageView["reason"];

/** A message as the API shows it; undefined without events. */
export function viewOf(
  events: readonly StoredEvent<MessageEvent>[],
  contextOf: (lane: { origin: string; destination: string }) => LaneContext,
): MessageView | undefined {
  const message = foldMessage(events);
  if (!message) return undefined;
  const { id, progress, content, requested } = message;
  const shown = content ?? requested;
  if (!shown) throw new Error(`message ${id} has no content`);
  const { sender, recipient, payload, gasLimit } = shown;
  const { origin, destination, sent } = progress;
  return {
    id,
    ...(sent && { onchainId: sent.onchainId, nonce: sent.nonce }),
    status: statusOf(progress),
    reason: reasonOf(message, contextOf(progress)),
    lane: laneName(progress),
    origin,
    destination,
    ...{ sender, recipient, payload },
    ...(gasLimit !== undefined && { gasLimit }),
    createdAt: message.createdAt.toISOString(),
    timeline: events.map(timelineEntry),
  };
}

function reasonOf(message: Message, context: LaneContext): Reason {
  const { progress, failure, reason, skipped } = message;
  switch (statusOf(progress)) {
    case "submitted":
      return message.content
        ? { code: "reorged-out", message: "its block was reorganised out; its transaction is sent again" }
        : (stalled(context, message.requested?.intentId) ?? {
            ...{ code: "awaiting-inclusion", message: "its transaction is on the way" },
          });
    case "sent":
      return { code: "awaiting-finality", message: "waiting for its block to be final" };
    case "final":
    case "attested":
      return waiting(message, context);
    case "delivering":
      return (
        stalled(context, progress.delivery?.intentId) ?? {
          ...{ code: "delivery-in-progress", message: "the transaction that delivers it is on the way" },
        }
      );
    case "delivered":
      return hasEnded(progress)
        ? { code: "ended", message: "nothing is left to do" }
        : { code: "awaiting-finality", message: "executed; waiting for that block to be final" };
    case "failed": {
      if (skipped && reason === undefined) return skippedReason(skipped);
      const words = `${describeReason(reason ?? "0x")}; it can be retried`;
      const last = progress.retry && failure ? `; the last retry: ${failure.detail}` : "";
      return { code: "execution-failed", message: words + last };
    }
    case "dropped":
      return progress.dropped && failure
        ? { code: failure.code, message: failure.detail }
        : { code: "reorged-out", message: "its block was reorganised out, and nobody has sent it again" };
  }
}

function skippedReason({ generation, retryable }: NonNullable<Message["skipped"]>): Reason {
  const words = retryable ? "it can be retried" : "it does not run any more";
  return { code: "lane-realigned", message: `governance has realigned its lane past it (${generation}); ${words}` };
}

/** What the transaction that is on its way waits for, where the sender knows. */
function stalled({ intents }: LaneContext, intentId: string | undefined): Reason | undefined {
  const waiting = intents?.get(intentId ?? "");
  return waiting && { code: waiting.code, message: `its transaction waits: ${waiting.detail}` };
}

/** A final message that is not on its way: its own last delivery, the quorum, or what holds up the lane. */
function waiting({ progress, failure }: Message, { book, heads, trouble, hold }: LaneContext): Reason {
  if (hold) return { code: hold.code, message: `${hold.detail}; it is delivered when that is over` };
  const { delivery, sent } = progress;
  if (delivery?.retryAt !== undefined && failure) {
    const nextAttemptAt = new Date(Number(delivery.retryAt)).toISOString();
    return { code: failure.code, message: `the last delivery failed: ${failure.detail}`, nextAttemptAt };
  }
  const { quorum, reached } = quorumFor(book, heads, sent?.nonce ?? 0n);
  const next = trouble && { nextAttemptAt: trouble.dueAt.toISOString() };
  if (!reached) {
    const message = `waiting for validators: ${quorum.missing.join(", ")} missing, ${quorum.threshold} needed`;
    return { code: "awaiting-quorum", message, ...next, quorum };
  }
  if (trouble) return { code: trouble.code, message: trouble.detail, ...next, quorum };
  return { code: "awaiting-delivery", message: "attested; its delivery comes next", quorum };
}

/** Who has vouched for a nonce, by signing it or a later one of the same lane. */
function quorumFor(
  book: ValidatorEpoch,
  heads: ReadonlyMap<Hex, bigint>,
  nonce: bigint,
): { quorum: QuorumView; reached: boolean } {
  const answered = book.all.filter(({ address }) => (heads.get(address) ?? 0n) >= nonce);
  const state = evaluateQuorum(
    book.counting,
    answered.map(({ address }) => address),
  );
  return {
    quorum: {
      threshold: describeThreshold(book.counting),
      weight: state.weight,
      totalWeight: state.totalWeight,
      answered: answered.map(({ name }) => name),
      missing: book.all.filter((validator) => !answered.includes(validator)).map(({ name }) => name),
    },
    reached: state.reached,
  };
}

function timelineEntry(event: StoredEvent<MessageEvent>): TimelineEntry {
  const base = { at: event.at.toISOString(), what: event.type };
  const { origin, destination } = event.data;
  switch (event.type) {
    case "MessageSubmitted":
      return { ...base, chain: origin, detail: `from account ${event.data.account}` };
    case "MessageSent":
      return { ...base, chain: origin, ...place(event.data), detail: `nonce ${event.data.nonce}` };
    case "MessageReorged":
      return { ...base, chain: origin, detail: `reorganised out above block ${event.data.ancestor}` };
    case "MessageDropped":
    case "DeliveryFailed":
    case "RetryFailed":
      return { ...base, code: event.data.code, detail: event.data.detail };
    case "MessageFinalized":
      return { ...base, chain: origin, blockNumber: event.data.finalHeight };
    case "MessageAttested":
      return { ...base, detail: `checkpoint ${event.data.checkpointNonce}, epoch ${event.data.epoch}` };
    case "DeliveryStarted": {
      const { firstNonce, lastNonce, attempt } = event.data;
      return { ...base, chain: destination, detail: `nonces ${firstNonce} to ${lastNonce}, attempt ${attempt}` };
    }
    case "MessageDelivered":
      return { ...base, chain: destination, ...place(event.data) };
    case "MessageFailed":
      return { ...base, chain: destination, ...place(event.data), detail: describeReason(event.data.reason) };
    case "MessageSkipped": {
      const { generation, retryable } = event.data;
      const words = retryable ? "it can be retried" : "it does not run any more";
      return { ...base, chain: destination, ...place(event.data), detail: `realignment ${generation}: ${words}` };
    }
    case "DeliveryFinalized":
      return { ...base, chain: destination, blockNumber: event.data.finalHeight };
    case "DeliveryReorged":
      return { ...base, chain: destination, detail: `reorganised out above block ${event.data.ancestor}` };
    case "RetryStarted":
      return { ...base, chain: destination, detail: `retry ${event.data.attempt}` };
  }
}

const place = ({ transactionHash, blockNumber }: { transactionHash: Hex; blockNumber: bigint }) => ({
  transactionHash,
  blockNumber,
});
