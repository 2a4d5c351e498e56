import { z } from "zod";
import type { EventOf } from "#core/events/store.ts";
import { address, hash, hex, uint } from "#core/kernel/codec.ts";

/** Names in this file are stored for ever: add, never rename. */
const lane = { origin: z.string(), destination: z.string() };
const seen = { transactionHash: hash, blockNumber: uint, blockHash: hash, at: uint };
const attempt = z.number().int().positive();

/** Events of the stream `message-{id}`. */
export const messageEvents = {
  /** Asked for through the API; `intentId` names the transaction's intent. */
  MessageSubmitted: z.object({
    ...lane,
    account: z.string(),
    sender: address,
    recipient: address,
    payload: hex,
    gasLimit: uint.optional(),
    intentId: z.string(),
  }),
  /** Appended to its lane in a block of the origin. Again, with other data, when it is included again. */
  MessageSent: z.object({
    ...lane,
    nonce: uint,
    onchainId: hash,
    accumulator: hash,
    sender: address,
    recipient: address,
    gasLimit: uint,
    attributesHash: hash,
    payload: hex,
    /** Wei of the origin's coin that were paid for it; absent where the lane had no price. */
    fee: uint.optional(),
    ...seen,
  }),
  /** The block it was sent in is no longer part of the origin. */
  MessageReorged: z.object({ ...lane, ancestor: uint }),
  /** It will not be sent: its transaction's intent ended without the effect. */
  MessageDropped: z.object({ ...lane, code: z.string(), detail: z.string() }),
  /** `newest`: the last of its lane that became final in this step, the one of many that asks for a delivery. */
  MessageFinalized: z.object({ ...lane, finalHeight: uint, newest: z.boolean() }),
  /** A quorum signed a checkpoint that covers it. */
  MessageAttested: z.object({ ...lane, checkpointNonce: uint, epoch: uint }),
  DeliveryStarted: z.object({ ...lane, intentId: z.string(), attempt, firstNonce: uint, lastNonce: uint }),
  /** The delivery's intent ended without the effect; not tried again before `retryAt` (Unix milliseconds). */
  DeliveryFailed: z.object({ ...lane, attempt, code: z.string(), detail: z.string(), retryAt: uint }),
  /** Executed at the destination. */
  MessageDelivered: z.object({ ...lane, ...seen }),
  /** Attempted at the destination without success; it can be retried. `reason` is an ABI-encoded error. */
  MessageFailed: z.object({ ...lane, ...seen, reason: hex }),
  /**
   * The destination's lane was realigned past it: no delivery brings it any more. Only what governance named can still be
   * retried.
   */
  MessageSkipped: z.object({ ...lane, ...seen, generation: uint, retryable: z.boolean() }),
  /** What was last seen of it at the destination is in a final block. */
  DeliveryFinalized: z.object({ ...lane, outcome: z.enum(["delivered", "failed"]), finalHeight: uint }),
  /** The block of what was last seen of it is no longer part of the destination. */
  DeliveryReorged: z.object({ ...lane, undone: z.enum(["delivered", "failed"]), ancestor: uint }),
  RetryStarted: z.object({ ...lane, intentId: z.string(), attempt }),
  /** A retry had no effect or would have none; the service does it again at `retryAt` (Unix milliseconds), if ever. */
  RetryFailed: z.object({ ...lane, attempt, code: z.string(), detail: z.string(), retryAt: uint.optional() }),
  /** The last of `attempts` automatic attempts has failed. */
  MessageDeadLettered: z.object({ ...lane, code: z.string(), detail: z.string(), attempts: attempt }),
  /** Somebody asked for further attempts, the first at `retryAt` (Unix milliseconds). */
  MessageRevived: z.object({ ...lane, retryAt: uint }),
  /** Somebody decided that it is not retried by itself any more. */
  MessageAbandoned: z.object({ ...lane }),
} as const;

export type MessageEvent = EventOf<typeof messageEvents>;

export const messageStream = (messageId: string) => `message-${messageId}`;

/** True for the stream of a message. */
export const isMessageStream = (stream: string): boolean => messageIdOf(stream) !== undefined;

/** The service's own id of the message behind a stream, undefined for other streams. */
export const messageIdOf = (stream: string) =>
  stream.startsWith("message-") ? stream.slice("message-".length) : undefined;
