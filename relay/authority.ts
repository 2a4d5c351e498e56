import type { Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { DeliveryShape } from "./gas.ts";
import type { LaneEnds } from "./lane.ts";
import type { OpenMessage } from "./openMessage.ts";
import type { Message as WireMessage } from "./protocol/message.ts";
import type { ReasonCode } from "./reasons.ts";
import type { ValidatorEpoch } from "./validators.ts";

/** Messages that are to be delivered, in the order of their lane and without a gap. */
export type BatchWanted = {
  readonly lane: LaneEnds;
  readonly generation: number;
  /** The validators' epochs that the destination takes, newest first; at least one. */
  readonly epochs: readonly ValidatorEpoch[];
  readonly planned: readonly [OpenMessage, ...OpenMessage[]];
  /** Final messages that follow the planned ones: a way of delivery may bring their ids where nobody signs before. */
  readonly behind: readonly OpenMessage[];
};

/** What makes a destination believe the messages of a lane: signatures over its head, or a proof of it. */
export type Authority = {
  /** The last message that may go under it. */
  readonly nonce: bigint;
  /** The validators' epoch that it rests on. */
  readonly epoch: bigint;
  /** The delivery of messages from `firstNonce` on, none after `nonce`; of others up to there it brings the ids. */
  encode(firstNonce: bigint, messages: readonly WireMessage[]): EncodedDelivery;
  /** Keeps what was learned on the way, in the transaction that starts the delivery. */
  keep(to: Queryable): Promise<void>;
};

/** The destination's call, and what its gas depends on besides the messages. */
export type EncodedDelivery = { readonly data: Hex; readonly shape: Omit<DeliveryShape, "messages"> };

/** What is missing for now; `awaiting-quorum` may end with any word of a validator, others end by themselves. */
export type Missing = { readonly code: ReasonCode; readonly detail: string };

/** Obtains the authority for a batch. Each way of delivery has its own; see `createCheckpointAuthority`. */
export type Authorize = (wanted: BatchWanted) => Promise<{ authority: Authority } | { missing: Missing }>;
