import { z } from "zod";
import type { Queryable, Tx } from "../db/db.ts";
import { address, type Hex, hash, hex, uint } from "../kernel/codec.ts";
import type { Json } from "../kernel/json.ts";

/** What a transaction does. */
export type Call = { readonly to: Hex; readonly data: Hex; readonly value: bigint };

/**
 * One effect wanted on a chain exactly once. `id` is chosen by who asks and derives from what it is for, so that asking
 * twice is one intent. Calls that carry a secret are not stored: `call` is then `{ builder, ref }`, and the bytes are
 * made at signing time by the registered builder and kept encrypted.
 */
export type IntentRequest = {
  readonly id: string;
  readonly chain: string;
  /**
   * Name of the managed account that signs, or of a pool of them. Of a pool one is chosen when the intent is submitted;
   * what waits without a nonce may be given to another. Open intents of one subject are on one account.
   */
  readonly account: string;
  /** Dotted kind for people, marks and metrics: `swap.lock-source`, `relay.deliver`. */
  readonly kind: string;
  /** What it belongs to, e.g. the event stream of a swap. */
  readonly subject: string;
  readonly call: Call | { readonly builder: string; readonly ref: Json };
  /** Fixed gas limit; never estimated. */
  readonly gas: bigint;
  /** Unix seconds after which it must not be sent for the first time; then its nonce is voided. */
  readonly notAfter?: bigint;
  /**
   * Unix seconds after which it is ended unless it has a nonce: what the account cannot pay at once it may pay in parts.
   * Once signed it is driven to its end.
   */
  readonly signBy?: bigint;
  /**
   * For an effect that is lost when its time passes: until when it is worth something (Unix seconds), and how much at most
   * in wei of that chain, where that is known. Near that time its price rises up to the worth (`pressureOf`).
   */
  readonly urgency?: { readonly by: bigint; readonly worth?: bigint };
  /** Simulated against `pending` before signing, and refused if that reverts. False for calls that carry a secret. */
  readonly dryRun: boolean;
};

/** Makes the call of an intent that must not be stored; invoked when it is signed. */
export type CallBuilder = (ref: Json) => Promise<Call>;

/**
 * The last check of an intent, by kind: asked right before the first byte of its first attempt leaves, outside any
 * transaction, and again after a restart as long as no byte is known to have left (the sender notes durably that it is
 * about to send after the guard agreed and before it sends). A refusal voids the nonce and abandons the intent with
 * reason `refused`. A guard that throws is asked again.
 */
export type IntentGuard = (intent: {
  id: string;
  kind: string;
  subject: string;
}) => Promise<{ readonly send: true } | { readonly send: false; readonly detail: string }>;

/** Why an intent is not in a block yet, where that is known. */
export const waitCodes = [
  /** The chain asks more than transactions of its kind may offer. */
  "gas-price-too-high",
  /** It offers more than nine of ten transactions paid lately, and still is in no block. */
  "inclusion-stalled",
  "balance-insufficient",
  /** The nodes do not take it; the detail has their words. */
  "transaction-refused",
  "guard-undecided",
  "dry-run-undecided",
  "signing-failed",
  /** Its chain is paused, and it has no nonce yet. */
  "chain-paused",
] as const;
export type WaitCode = (typeof waitCodes)[number];
export type Waiting = { readonly code: WaitCode; readonly detail: string };

export type IntentStatus =
  | { readonly state: "queued" | "signed" | "sent"; readonly waiting?: Waiting }
  | {
      readonly state: "included";
      readonly hash: Hex;
      readonly status: "success" | "reverted";
      readonly blockNumber: bigint;
    }
  | {
      readonly state: "finalized";
      readonly hash: Hex;
      readonly status: "success" | "reverted";
      readonly blockNumber: bigint;
      readonly gasUsed: bigint;
    }
  | { readonly state: "abandoned"; readonly reason: "reverts" | "expired" | "refused"; readonly detail: string };

/** The intent that a transaction was signed for. */
export type SentIntent = { readonly intentId: string; readonly subject: string; readonly kind: string };

export type Sender = {
  /** Writes the intents durably in the caller's transaction. Known ids are left as they are. */
  submit(tx: Tx, intents: readonly IntentRequest[]): Promise<void>;
  find(from: Queryable, intentId: string): Promise<IntentStatus | undefined>;
  /** Which intents sent transactions, known before they leave; those of others are absent. */
  findByTransactions(from: Queryable, hashes: readonly Hex[]): Promise<ReadonlyMap<Hex, SentIntent>>;
};

const outcome = { chain: z.string(), kind: z.string(), subject: z.string() };

/** Stream of what becomes of an intent. */
export const intentStream = (id: string): string => `intent-${id}`;

/** Events of that stream. */
export const intentEvents = {
  /** A transaction of the intent is in a block that is not final yet. */
  IntentIncluded: z.object({ ...outcome, hash, blockNumber: uint, status: z.enum(["success", "reverted"]) }),
  /** The receipt is in a final block: the intent has ended. */
  IntentFinalized: z.object({
    ...outcome,
    hash,
    blockNumber: uint,
    status: z.enum(["success", "reverted"]),
    gasUsed: uint,
  }),
  /** It has no effect and never will: the dry-run reverted, its time had passed or its guard refused (nonce voided). */
  IntentAbandoned: z.object({ ...outcome, reason: z.enum(["reverts", "expired", "refused"]), detail: z.string() }),
} as const;

/** A call as it is stored. */
export const callSchema = z.object({ to: address, data: hex, value: uint });

/** The urgency of an intent as it is stored. */
export const urgencySchema = z.object({ by: uint, worth: uint.optional() });
