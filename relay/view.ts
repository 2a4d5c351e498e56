import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Waiting } from "#core/sender/sender.ts";
import type { MessageEvent } from "./events.ts";
import { describeReason } from "./failure.ts";
import type { Finding } from "./findings.ts";
import { retryIntentId } from "./intents.ts";
import { type LaneHold, laneName } from "./lane.ts";
import { codeOfFailed, foldMessage, type Message, neverRuns } from "./message.ts";
import { hasEnded, statusOf } from "./progress.ts";
import { evaluateQuorum } from "./protocol/quorum.ts";
import { attemptsOf } from "./ramp.ts";
import { type ReasonCode, reasonCodeOf } from "./reasons.ts";
import type { MessageView, QuorumView, TimelineEntry } from "./schemas.ts";
import { describeThreshold, type ValidatorEpoch } from "./validators.ts";

/** What stands in a lane's way, when it is tried again, and how often it was. */
export type LaneTrouble = {
  readonly code: string;
  readonly detail: string;
  readonly dueAt: Date;
  readonly misses: number;
};

/** What a message's reason rests on besides its own events. */
export type LaneContext = {
  /** The newest valid epoch. */
  readonly book: ValidatorEpoch;
  /** The newest nonce of the lane that each validator signed. */
  readonly heads: ReadonlyMap<Hex, bigint>;
  readonly trouble?: LaneTrouble;
  /** The lane is paused, or its destination, or it is not served. */
  readonly hold?: { readonly code: LaneHold["code"] | "lane-removed"; readonly detail: string };
  /** What is wrong with the lane until somebody mends it. */
  readonly finding?: Finding;
  /** Why intents wait that are in no block, of those that something is known of. */
  readonly intents?: ReadonlyMap<string, Waiting>;
  /** Whether failed messages are retried without being asked. */
  readonly retryFailed: boolean;
};

export type Reason = MessageView["reason"];

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
    deadLettered: message.attempts.dead !== undefined && progress.executed === undefined,
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

/** What a lane waits for, as a reason. */
export function reasonOfTrouble({ code: text, detail, dueAt, misses }: LaneTrouble): Reason {
  const code = reasonCodeOf(text);
  const attempts = attemptsOf(code);
  return {
    ...{ code, message: detail },
    ...(code !== "dead-lettered" && { nextAttemptAt: dueAt.toISOString(), attempt: misses + 1 }),
    ...(attempts !== undefined && code !== "dead-lettered" && { attempts }),
  };
}

function reasonOf(message: Message, context: LaneContext): Reason {
  const { progress, failure } = message;
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
      return delivering(message, context);
    case "delivered":
      return hasEnded(progress)
        ? { code: "ended", message: "nothing is left to do" }
        : { code: "awaiting-finality", message: "executed; waiting for that block to be final" };
    case "failed":
      return failed(message, context);
    case "dropped":
      return progress.dropped && failure
        ? { code: reasonCodeOf(failure.code), message: failure.detail }
        : { code: "reorged-out", message: "its block was reorganised out, and nobody has sent it again" };
  }
}

/** A message with a transaction of its own or its batch's; one that is not sent for a hold says for which. */
function delivering(message: Message, context: LaneContext): Reason {
  const wait = stalled(context, intentOf(message));
  if (wait?.code === "chain-paused" && context.hold) return held(context.hold);
  return wait ?? { code: "delivery-in-progress", message: "the transaction that delivers it is on the way" };
}

const held = ({ code, detail }: NonNullable<LaneContext["hold"]>): Reason => ({
  ...{ code, message: `${detail}; it is delivered when that is over` },
});

/** A message that its destination recorded as failed: what for, and whether and when it is executed again. */
function failed(message: Message, { retryFailed }: LaneContext): Reason {
  const { progress, attempts, failure, reason, skipped } = message;
  const last = progress.retry && failure ? `; the last retry: ${failure.detail}` : "";
  const isSkipped = skipped !== undefined && reason === undefined;
  const realigned = `governance has realigned its lane past it (generation ${skipped?.generation})`;
  const words = isSkipped ? realigned : describeReason(reason ?? "0x");
  const code = codeOfFailed(message);
  if (neverRuns(message)) {
    const both = isSkipped ? words : `${words}; since then ${realigned}`;
    return { code, message: `${both}; it does not run any more` };
  }
  if (attempts.abandoned) return { code, message: `${words}${last}; it was abandoned here` };
  if (attempts.dead) {
    const given = `given up after ${attempts.dead.attempts} attempts, it can be retried`;
    return { code, message: `${words}; ${given}; the last: ${attempts.dead.detail}` };
  }
  const both = `${words}; it can be retried${last}`;
  if (code === "deferred") return { code, message: both };
  if (attempts.retryAt === undefined || !retryFailed) return { code, message: both };
  return { code, message: both, ...nextAttempt(attempts.retryAt, attempts.misses, "retry-reverts") };
}

/** The transaction that is on its way to the destination. */
const intentOf = ({ id, progress: { retry, delivery } }: Message): string | undefined =>
  retry?.running ? retryIntentId(id, retry.attempt) : delivery?.intentId;

/** What the transaction that is on its way waits for, where the sender knows. */
export function stalled({ intents }: Pick<LaneContext, "intents">, intentId: string | undefined): Reason | undefined {
  const waiting = intents?.get(intentId ?? "");
  return waiting && { code: waiting.code, message: `its transaction waits: ${waiting.detail}` };
}

function nextAttempt(at: bigint, misses: number, code: ReasonCode) {
  const attempts = attemptsOf(code);
  const nextAttemptAt = new Date(Number(at)).toISOString();
  return { nextAttemptAt, attempt: misses + 1, ...(attempts !== undefined && { attempts }) };
}

/** What a final message waits for that is not on its way: itself, its lane, or validators. */
function waiting({ progress, failure, attempts }: Message, context: LaneContext): Reason {
  const { book, heads, trouble, hold, finding } = context;
  if (hold) return held(hold);
  const { delivery, sent } = progress;
  const { quorum, reached } = quorumFor(book, heads, sent?.nonce ?? 0n);
  if (attempts.dead) {
    const { attempts: made, detail } = attempts.dead;
    const message = `given up after ${made} attempts, it can be retried; the last: ${detail}`;
    return { code: "dead-lettered", message, quorum };
  }
  if (finding) return { code: finding.code, message: finding.detail, quorum };
  const ofLane = trouble && reasonOfTrouble(trouble);
  if (ofLane && ofLane.code !== "awaiting-quorum" && ofLane.code !== "delivery-failed") return { ...ofLane, quorum };
  const code = failure && reasonCodeOf(failure.code);
  if (delivery?.retryAt !== undefined && failure && code && code !== "bucket-empty") {
    const message = `the last delivery failed: ${failure.detail}`;
    return { code, message, ...nextAttempt(delivery.retryAt, attempts.misses, code), quorum };
  }
  if (!reached) {
    const message = `waiting for validators: ${quorum.missing.join(", ")} missing, ${quorum.threshold} needed`;
    return { ...ofLane, code: "awaiting-quorum", message, quorum };
  }
  return ofLane
    ? { ...ofLane, quorum }
    : { code: "awaiting-delivery", message: "attested; its delivery comes next", quorum };
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
    case "DeliveryFinalized":
      return { ...base, chain: destination, blockNumber: event.data.finalHeight };
    case "DeliveryReorged":
      return { ...base, chain: destination, detail: `reorganised out above block ${event.data.ancestor}` };
    case "RetryStarted":
      return { ...base, chain: destination, detail: `retry ${event.data.attempt}` };
    case "MessageDeadLettered":
      return { ...base, code: event.data.code, detail: `after ${event.data.attempts} attempts: ${event.data.detail}` };
    case "MessageRevived":
    case "MessageAbandoned":
      return base;
    case "MessageSkipped": {
      const { generation, retryable } = event.data;
      const words = retryable ? "it can be retried" : "it does not run any more";
      return { ...base, chain: destination, ...place(event.data), detail: `realignment ${generation}: ${words}` };
    }
  }
}

const place = ({ transactionHash, blockNumber }: { transactionHash: Hex; blockNumber: bigint }) => ({
  transactionHash,
  blockNumber,
});
