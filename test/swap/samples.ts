import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import {
  type LegName,
  type LegTerms,
  type SignatureKind,
  type StepName,
  type SwapEvent,
  swapStream,
} from "#swap/events.ts";
import { lockIdOf } from "#swap/legCalls.ts";
import type { PartyName } from "#swap/parties.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";

/** Made-up values for tests of the pure parts: timelocks 2,000 (source) and 1,000 (target). */
export const hexOf = (digit: string, bytes = 32): Hex => `0x${digit.repeat(bytes * 2)}`;

export const secret = hexOf("9");

const alice = { account: "alice", address: hexOf("a", 20) };
const bob = { account: "bob", address: hexOf("b", 20) };

const leg = (name: LegName): LegTerms => {
  const terms = unnamed(name);
  return { ...terms, lockId: lockIdOf(terms, hashlockOf(secret)) };
};

const unnamed = (name: LegName): Omit<LegTerms, "lockId"> => ({
  chain: name === "source" ? "alpha" : "beta",
  chainId: name === "source" ? 1 : 2,
  timelockContract: hexOf("c", 20),
  asset: { type: "native" },
  amount: 5n,
  sender: name === "source" ? alice.address : bob.address,
  recipient: name === "source" ? bob.address : alice.address,
  timelock: name === "source" ? 2_000n : 1_000n,
  tip: 0n,
});

/** The terms as requested. */
export const legTerms = { source: leg("source"), target: leg("target") };
export const lockIds = { source: legTerms.source.lockId, target: legTerms.target.lockId };

export const requested: SwapEvent = {
  type: "SwapRequested",
  data: {
    hashlock: hashlockOf(secret),
    initiator: alice,
    counterparty: bob,
    ...legTerms,
  },
};

const seen = (name: LegName, block: bigint) => ({
  leg: name,
  transactionHash: hexOf("7"),
  blockNumber: block,
  blockHash: hexOf("8"),
  at: 500n,
});

export const detected = (name: LegName): SwapEvent => ({ type: "LegDetected", data: seen(name, 10n) });
export const locked = (name: LegName): SwapEvent => ({ type: "LegLocked", data: { leg: name, finalHeight: 12n } });
export const claimed = (name: LegName): SwapEvent => ({
  type: "LegClaimed",
  data: { ...seen(name, 20n), secret },
});
export const claimFinal = (name: LegName): SwapEvent => ({
  type: "LegClaimFinalized",
  data: { leg: name, finalHeight: 22n },
});
export const refunded = (name: LegName): SwapEvent => ({ type: "LegRefunded", data: seen(name, 30n) });
export const refundFinal = (name: LegName): SwapEvent => ({
  type: "LegRefundFinalized",
  data: { leg: name, finalHeight: 32n },
});
export const reorged = (name: LegName, undone: "lock" | "claim" | "refund"): SwapEvent => ({
  type: "LegReorged",
  data: { leg: name, undone, ancestor: 9n },
});
export const started = (step: StepName, attempt = 1): SwapEvent => ({
  type: "StepStarted",
  data: { step, attempt, intentId: `swap-1-${step}-${attempt}` },
});
export const failed = (step: StepName, retryAt: bigint, attempt = 1): SwapEvent => ({
  type: "StepFailed",
  data: { step, attempt, code: "intent-reverts", detail: "frozen", retryAt },
});
export const revealStarted: SwapEvent = { type: "RevealStarted", data: { blockNumber: 12n, blockHash: hexOf("8") } };
export const revealWithdrawn: SwapEvent = { type: "RevealWithdrawn", data: { intentId: "swap-1-claim-target-1" } };
export const givenUp: SwapEvent = { type: "SwapGivenUp", data: { code: "deadline-passed", detail: "too late" } };

export const restored: SwapEvent = { type: "SwapRestored", data: { restore: "6c1f5c2e-7f0c-4a53-8a7e-0d3f7a9c2b11" } };

export const approved = (step: "lock-source" | "lock-target"): SwapEvent => ({
  type: "SwapApproved",
  data: { step, by: "operator" },
});

export const agreed = (name: LegName): SwapEvent => ({
  type: "EarlyRefundAgreed",
  data: { leg: name, lockedAt: 500n, nonce: 7n, deadline: name === "source" ? 2_000n : 1_000n },
});
export const signed = (name: LegName, kind: SignatureKind, deadline: bigint): SwapEvent => ({
  type: "SignatureReceived",
  data: { leg: name, kind, nonce: 3n, deadline, signature: hexOf("5", 65) },
});
export const secretReceived: SwapEvent = { type: "SecretReceived", data: {} };

/** As `requested`, with the parties that are named external, and the other one paying for them. */
export function requestedBy(...external: readonly PartyName[]): SwapEvent {
  if (requested.type !== "SwapRequested") throw new Error("it is the first event");
  const { data } = requested;
  const at = (name: PartyName) => {
    const { address } = data[name] as typeof alice;
    return external.includes(name) ? { source: address, target: address } : data[name];
  };
  const payer = external.length === 2 ? undefined : external.includes("initiator") ? "bob" : "alice";
  const parties = { initiator: at("initiator"), counterparty: at("counterparty") };
  return { type: "SwapRequested", data: { ...data, ...parties, ...(payer !== undefined && { payer }) } };
}

/** The events as they come out of the store. */
export const stored = (...events: SwapEvent[]): StoredEvent<SwapEvent>[] =>
  events.map((event, i) => ({
    ...event,
    position: BigInt(i + 1),
    stream: swapStream("1"),
    version: i + 1,
    at: new Date(500_000),
  }));
