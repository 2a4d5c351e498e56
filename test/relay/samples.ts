import { keccak256, numberToHex } from "viem";
import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { MessageEvent } from "#relay/events.ts";
import type { Policy } from "#relay/policy.ts";
import type { QuorumSet } from "#relay/protocol/quorum.ts";
import type { ValidatorBook, ValidatorEpoch, ValidatorInfo } from "#relay/validators.ts";

export const lane = { origin: "alpha", destination: "beta" };
export const hashOf = (seed: number): Hex => keccak256(numberToHex(seed, { size: 4 }));
export const addressOf = (seed: number): Hex => numberToHex(BigInt(seed) + 1n, { size: 20 });

export const place = (block: bigint) => ({
  transactionHash: hashOf(Number(block)),
  blockNumber: block,
  blockHash: hashOf(Number(block) + 1_000),
  at: block,
});

const content = {
  sender: addressOf(1),
  recipient: addressOf(2),
  gasLimit: 200_000n,
  attributesHash: hashOf(0),
  payload: "0x6869" as Hex,
};

/** One event of each kind, with the data that decisions rest on as parameters. */
export const events = {
  submitted: (): MessageEvent => ({
    type: "MessageSubmitted",
    data: {
      ...lane,
      account: "alice",
      sender: content.sender,
      recipient: content.recipient,
      payload: content.payload,
      intentId: "message-1-send",
    },
  }),
  sent: (nonce = 1n, block = 10n): MessageEvent => ({
    type: "MessageSent",
    data: {
      ...lane,
      ...content,
      ...place(block),
      nonce,
      onchainId: hashOf(Number(nonce)),
      accumulator: hashOf(Number(nonce) + 500),
    },
  }),
  reorged: (ancestor = 9n): MessageEvent => ({ type: "MessageReorged", data: { ...lane, ancestor } }),
  dropped: (): MessageEvent => ({
    type: "MessageDropped",
    data: { ...lane, code: "intent-reverts", detail: "the call reverts" },
  }),
  finalized: (): MessageEvent => ({ type: "MessageFinalized", data: { ...lane, finalHeight: 12n, newest: true } }),
  attested: (): MessageEvent => ({ type: "MessageAttested", data: { ...lane, checkpointNonce: 3n, epoch: 1n } }),
  started: (attempt = 1): MessageEvent => ({
    type: "DeliveryStarted",
    data: { ...lane, intentId: `lane-x-${attempt}`, attempt, firstNonce: 1n, lastNonce: 3n },
  }),
  deliveryFailed: (attempt = 1): MessageEvent => ({
    type: "DeliveryFailed",
    data: { ...lane, attempt, code: "intent-reverted", detail: "transaction 0x reverted", retryAt: 5_000n },
  }),
  delivered: (block = 20n): MessageEvent => ({ type: "MessageDelivered", data: { ...lane, ...place(block) } }),
  failed: (block = 20n): MessageEvent => ({
    type: "MessageFailed",
    data: { ...lane, ...place(block), reason: "0x" },
  }),
  outcomeFinal: (outcome: "delivered" | "failed" = "delivered"): MessageEvent => ({
    type: "DeliveryFinalized",
    data: { ...lane, outcome, finalHeight: 30n },
  }),
  undone: (undone: "delivered" | "failed" = "delivered"): MessageEvent => ({
    type: "DeliveryReorged",
    data: { ...lane, undone, ancestor: 19n },
  }),
  skipped: (block = 20n, retryable = false): MessageEvent => ({
    type: "MessageSkipped",
    data: { ...lane, ...place(block), generation: 1n, retryable },
  }),
  retryStarted: (attempt = 1): MessageEvent => ({
    type: "RetryStarted",
    data: { ...lane, intentId: `message-1-retry-${attempt}`, attempt },
  }),
  retryFailed: (attempt = 1): MessageEvent => ({
    type: "RetryFailed",
    data: { ...lane, attempt, code: "intent-reverts", detail: "still not" },
  }),
  deadLettered: (): MessageEvent => ({
    type: "MessageDeadLettered",
    data: { ...lane, code: "retry-reverts", detail: "never", attempts: 40 },
  }),
  revived: (): MessageEvent => ({ type: "MessageRevived", data: { ...lane, retryAt: 6_000n } }),
  abandoned: (): MessageEvent => ({ type: "MessageAbandoned", data: { ...lane } }),
} as const;

/** Events as a stream holds them. */
export const stored = (list: readonly MessageEvent[], id = "1"): StoredEvent<MessageEvent>[] =>
  list.map((event, index) => ({
    ...event,
    position: BigInt(index + 1),
    stream: `message-${id}`,
    version: index + 1,
    at: new Date(index * 1000),
  }));

const validators = ["one", "two", "three"].map(
  (name, index): ValidatorInfo => ({ name, address: addressOf(index + 10), weight: 1n, url: "http://127.0.0.1:1" }),
);
const set: QuorumSet = {
  validators: validators.map(({ address: account, weight }) => ({ account, weight })),
  threshold: { rule: "simpleMajority" },
};

/** The first epoch: three validators of weight 1 at addresses that nobody signs for. */
export const epoch: ValidatorEpoch = {
  ...{ epoch: 1n, set, counting: set, all: validators },
  byAddress: (address) => validators.find((validator) => validator.address === address),
};

/** Knows that epoch alone. */
export const book: ValidatorBook = {
  read: async () => ({ valid: () => [epoch], newest: () => epoch }),
  changed: () => undefined,
  named: validators,
};

/** Denies nothing. */
export const openPolicy: Pick<Policy, "denial" | "deniesLane"> = {
  denial: () => undefined,
  deniesLane: () => false,
};
