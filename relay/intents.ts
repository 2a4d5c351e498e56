import { createHash } from "node:crypto";
import { size } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import type { IntentRequest, IntentStatus } from "#core/sender/sender.ts";
import type { EncodedDelivery } from "./authority.ts";
import { messageStream } from "./events.ts";
import { type DeliveryShape, deliveryGas, headerGas, retryGas, sendGas, transactionGasCap } from "./gas.ts";
import { sendIntentId, sendKind } from "./identity.ts";
import { type Lane, type LaneEnds, laneName, parseLaneName } from "./lane.ts";
import type { Run } from "./laneEvents.ts";
import type { Failure } from "./message.ts";
import { encodeDefer, encodeRetry, encodeSendMessage } from "./protocol/calls.ts";
import type { Message as WireMessage } from "./protocol/message.ts";
import { encodeAttestHeader, type SignedHeader } from "./protocol/proven.ts";

export const deliverKind = "relay.deliver";
export const retryKind = "relay.retry";
export const headerKind = "relay.attest-header";
const deferKind = "relay.defer";
export const reportKind = "relay.report";
/** A watched bridge's. */
export const pauseKind = "relay.pause";
/** Attempts at them are numbered on from those that are found, by whoever asks for them. */
export const countedKinds: readonly string[] = [headerKind, deferKind, reportKind, pauseKind];
/** Two words of storage, one event and the check of the role; once more for every id. */
const deferGas = { once: 150_000n, each: 40_000n };

const payloadBytes = ({ payload }: { payload: string }): number => (payload.length - 2) / 2;

/** Subject of intents that are for a lane and for no single message. */
export const laneSubject = (lane: Lane): string => `lane-${laneName(lane)}`;

/**
 * One delivery. The sender does not dry-run it: the driver has, on top of the deliveries that are on their way, which
 * the sender cannot know of.
 */
export function deliveryIntent(
  lane: LaneEnds,
  delivery: { generation: number; firstNonce: bigint; messages: readonly WireMessage[]; call: EncodedDelivery },
  attempt: number,
  account: string,
): IntentRequest {
  const { generation, firstNonce, messages, call } = delivery;
  const shape: DeliveryShape = {
    messages: messages.map((message) => ({ gasLimit: message.gasLimit, payloadBytes: payloadBytes(message) })),
    ...call.shape,
  };
  const gas = deliveryGas(shape);
  const lastNonce = firstNonce + BigInt(messages.length) - 1n;
  return {
    id: `${laneSubject(lane)}-${generation}-${firstNonce}-${lastNonce}-${attempt}`,
    chain: lane.destination,
    account,
    kind: deliverKind,
    subject: laneSubject(lane),
    call: { to: lane.to.gateway, data: call.data, value: 0n },
    gas: gas < transactionGasCap ? gas : transactionGasCap,
    dryRun: false,
  };
}

/** The messages that a delivery's intent carries; undefined for other intents. */
export function deliveredBy(intentId: string, subject: string): Run | undefined {
  const lane = subject.startsWith("lane-") ? parseLaneName(subject.slice("lane-".length)) : undefined;
  if (!lane || !intentId.startsWith(`${subject}-`)) return undefined;
  const [, first, last] = /^\d+-(\d+)-(\d+)-\d+$/.exec(intentId.slice(subject.length + 1)) ?? [];
  return first === undefined || last === undefined
    ? undefined
    : { ...lane, firstNonce: BigInt(first), lastNonce: BigInt(last) };
}

/** Brings a header of the lane's origin to the state oracle of its destination. */
export function headerIntent(
  lane: LaneEnds,
  oracle: Hex,
  signed: SignedHeader,
  attempt: number,
  account: string,
): IntentRequest {
  const { header, rlp, set, signatures } = signed;
  return {
    id: `${laneSubject(lane)}-header-${header.generation}-${header.number}-${header.epoch}-${attempt}`,
    chain: lane.destination,
    account,
    kind: headerKind,
    subject: laneSubject(lane),
    call: { to: oracle, data: encodeAttestHeader(signed), value: 0n },
    gas: headerGas({ validators: set.validators.length, signatures: signatures.length, rlpBytes: size(rlp) }),
    dryRun: true,
  };
}

/** An operator's word that messages are recorded as failed instead of executed. */
export function deferralIntent(lane: LaneEnds, ids: readonly Hex[], attempt: number, account: string): IntentRequest {
  const digest = createHash("sha256").update(ids.join()).digest("hex").slice(0, 32);
  return {
    id: `${laneSubject(lane)}-defer-${digest}-${attempt}`,
    chain: lane.destination,
    account,
    kind: deferKind,
    subject: laneSubject(lane),
    call: { to: lane.to.gateway, data: encodeDefer(lane.from.chain.chainId, ids), value: 0n },
    gas: deferGas.once + deferGas.each * BigInt(ids.length),
    dryRun: true,
  };
}

/** Id of the intent of a message's retry, which are numbered from 1. */
export const retryIntentId = (messageId: string, attempt: number) => `${messageStream(messageId)}-retry-${attempt}`;

/** One more execution of a message that failed. */
export function retryIntent(
  lane: LaneEnds,
  message: { id: string; nonce: bigint; content: WireMessage; attempt: number },
  account: string,
): IntentRequest {
  const { content } = message;
  const origin = { chainId: lane.from.chain.chainId, gateway: lane.from.gateway };
  return {
    id: retryIntentId(message.id, message.attempt),
    chain: lane.destination,
    account,
    kind: retryKind,
    subject: messageStream(message.id),
    call: { to: lane.to.gateway, data: encodeRetry(origin, message.nonce, content), value: 0n },
    gas: retryGas({ gasLimit: content.gasLimit, payloadBytes: payloadBytes(content) }),
    dryRun: true,
  };
}

/** The transaction that appends a message to its lane. */
export function sendIntent(
  lane: LaneEnds,
  message: { id: string; recipient: `0x${string}`; payload: `0x${string}`; gasLimit?: bigint | undefined },
  account: string,
): IntentRequest {
  const recipient = { chainId: lane.to.chain.chainId, address: message.recipient };
  return {
    id: sendIntentId(message.id),
    chain: lane.origin,
    account,
    kind: sendKind,
    subject: messageStream(message.id),
    call: {
      to: lane.from.gateway,
      data: encodeSendMessage(recipient, message.payload, message.gasLimit),
      value: 0n,
    },
    gas: sendGas(payloadBytes(message)),
    dryRun: true,
  };
}

/** Why an intent that has ended had no effect; undefined while it may still have one, or had. */
export function failureOf(status: IntentStatus | undefined): Failure | undefined {
  if (status?.state === "abandoned") return { code: `intent-${status.reason}`, detail: status.detail };
  if (status?.state === "finalized" && status.status === "reverted") {
    return { code: "intent-reverted", detail: `transaction ${status.hash} reverted` };
  }
  return undefined;
}

/** As `failureOf`, as soon as a block has shown it: for what does no harm when it is done twice. */
export function failureSeen(status: IntentStatus | undefined): Failure | undefined {
  if (status?.state !== "included" || status.status !== "reverted") return failureOf(status);
  return { code: "intent-reverted", detail: `transaction ${status.hash} reverted` };
}
