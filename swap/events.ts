import { z } from "zod";
import type { EventOf } from "#core/events/store.ts";
import { address, hash, hex, uint } from "#core/kernel/codec.ts";

/** Names in this file are stored for ever: add, never rename. */
export const assetSchema = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("native") }),
  z.strictObject({ type: z.literal("erc20"), address }),
  z.strictObject({ type: z.literal("erc721"), address, tokenId: uint }),
  z.strictObject({ type: z.literal("erc1155"), address, tokenId: uint }),
]);
export type Asset = z.output<typeof assetSchema>;

const legName = z.enum(["source", "target"]);
export type LegName = z.infer<typeof legName>;

/** A managed party: its account name, and the address that this account has on every chain. */
const managedParty = z.object({ account: z.string(), address });
/** An external party: its address on the chain of each leg. */
const externalParty = z.object({ source: address, target: address });
export const partySchema = z.union([managedParty, externalParty]);
export type Party = z.output<typeof partySchema>;

/** The terms of one leg, which its on-chain lock id hashes. */
export const legTermsSchema = z.object({
  chain: z.string(),
  chainId: z.number().int().positive(),
  /** The HashedTimelock that holds the lock. */
  timelockContract: address,
  lockId: hash,
  asset: assetSchema,
  /** Of an ERC-721 always one. */
  amount: uint,
  sender: address,
  recipient: address,
  /** Unix seconds: claim before, refund from. */
  timelock: uint,
  /** Native coin on top of the amount, for whoever claims or refunds. */
  tip: uint,
});
export type LegTerms = z.output<typeof legTermsSchema>;

/** The steps the service itself can take, each one intent at a time. */
const stepName = z.enum([
  "approve-source",
  "lock-source",
  "approve-target",
  "lock-target",
  "claim-target",
  "claim-source",
  "refund-target",
  "refund-source",
  "refund-early-target",
  "refund-early-source",
]);
export type StepName = z.infer<typeof stepName>;
/** Those that can be approved and rejected. */
export const lockStep = stepName.extract(["lock-source", "lock-target"]);

/**
 * What an external party can sign instead of sending a transaction. As a leg's sender: `lock` and `permit2` lock, `permit`
 * is the allowance that a `lock` of an ERC-20 needs. As its recipient: `early-refund`.
 */
export const signatureKind = z.enum(["lock", "permit2", "permit", "early-refund"]);
export type SignatureKind = z.infer<typeof signatureKind>;

const onChain = { leg: legName, transactionHash: hash, blockNumber: uint, blockHash: hash, at: uint };

export const swapEvents = {
  SwapRequested: z.object({
    hashlock: hash,
    initiator: partySchema,
    counterparty: partySchema,
    source: legTermsSchema,
    target: legTermsSchema,
    /** Managed account that sends what is anyone's to send, for parties that are external. */
    payer: z.string().optional(),
    /** Of the desk's quote that the terms are from: what tells it from others, and nothing that anybody could use. */
    quote: z.string().optional(),
  }),
  /** An external initiator handed in the secret, so that the service claims for it; kept sealed, never here. */
  SecretReceived: z.object({}),
  /** An external party signed what somebody else sends for it. It binds all terms, so that nobody can abuse it. */
  SignatureReceived: z.object({
    leg: legName,
    kind: signatureKind,
    nonce: uint,
    /** Unix seconds, the last at which it is good. */
    deadline: uint,
    signature: hex,
  }),
  /** Where the lock of a leg is to be: an entry of a batch, or without one a lock of its own. */
  LegPlaced: z.object({
    leg: legName,
    lockId: hash,
    batch: z.object({ index: z.number().int().nonnegative(), leaves: z.array(hash) }).optional(),
  }),
  /** The service set out to do a step; `intentId` names the transaction's intent. */
  StepStarted: z.object({ step: stepName, attempt: z.number().int().positive(), intentId: z.string() }),
  /** The step's intent ended without the effect. `code` says why in one word, `detail` in many. */
  StepFailed: z.object({
    step: stepName,
    attempt: z.number().int().positive(),
    code: z.string(),
    detail: z.string(),
    /** Unix seconds before which the step is not tried again. */
    retryAt: uint.optional(),
  }),
  /** From here on the secret counts as public: written after the last check and before the first byte is sent. */
  RevealStarted: z.object({ blockNumber: uint, blockHash: hash }),
  /**
   * The mark was written, but the claim's intent was voided before its first byte left: the nonce is used up for good by
   * another transaction, so the secret is still secret and deadlines count again.
   */
  RevealWithdrawn: z.object({ intentId: z.string() }),
  /**
   * The recipient of a leg agrees that it is refunded at once. Written before it signs, and from here on the service
   * neither locks nor claims the target leg.
   */
  EarlyRefundAgreed: z.object({
    leg: legName,
    /** Unix seconds of the lock that is meant. */
    lockedAt: uint,
    nonce: uint,
    /** Unix seconds, the last at which the signature is good. */
    deadline: uint,
  }),
  /** Whoever was asked lets the lock be made; `by` is `operator` or `hook`. Holds for every attempt, once and for all. */
  SwapApproved: z.object({ step: lockStep, by: z.string(), detail: z.string().optional() }),
  /** Whoever was asked does not let the lock be made. The swap is given up with it. */
  SwapRejected: z.object({ step: lockStep, by: z.string(), detail: z.string() }),
  /** The service will not take the swap further towards completion; what is locked is refunded in time. */
  SwapGivenUp: z.object({ code: z.string(), detail: z.string() }),
  /**
   * The database was restored from a backup of before: what was signed for the swap since then is not known. From here on
   * the service locks nothing more for it and agrees to no early refund; claims and refunds go on.
   */
  SwapRestored: z.object({ restore: z.string() }),
  LegDetected: z.object(onChain),
  /** The lock is in a final block. */
  LegLocked: z.object({ leg: legName, finalHeight: uint }),
  LegClaimed: z.object({ ...onChain, secret: hash }),
  LegClaimFinalized: z.object({ leg: legName, finalHeight: uint }),
  LegRefunded: z.object(onChain),
  LegRefundFinalized: z.object({ leg: legName, finalHeight: uint }),
  /** A reorganisation removed the block of what was last seen of the leg. */
  LegReorged: z.object({ leg: legName, undone: z.enum(["lock", "claim", "refund"]), ancestor: uint }),
} as const;

export type SwapEvent = EventOf<typeof swapEvents>;

/** Events of the stream `swapbatch-{id}`. */
export const batchEvents = {
  /** One transaction does the same step of several swaps. */
  StepsBatched: z.object({ step: stepName, chain: z.string(), swaps: z.array(z.string()) }),
} as const;
export type BatchEvent = EventOf<typeof batchEvents>;

export const batchStream = (batchId: string) => `swapbatch-${batchId}`;

/** What the names of swaps' streams begin with. */
export const swapStreams = "swap-";
export const swapStream = (swapId: string) => `${swapStreams}${swapId}`;
