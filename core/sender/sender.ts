import { z } from "zod";
import type { Tx } from "../db/db.ts";
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
  /** Name of the managed account that signs. */
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
  /** Simulated against `pending` before signing, and refused if that reverts. False for calls that carry a secret. */
  readonly dryRun: boolean;
};

export type CallBuilder = (ref: Json) => Promise<Call>;

export type Sender = {
  /** Writes the intents durably in the caller's transaction. Known ids are left as they are. */
  submit(tx: Tx, intents: readonly IntentRequest[]): Promise<void>;
};

const outcome = { chain: z.string(), kind: z.string(), subject: z.string() };

/** Events of the stream `intent-{id}`. */
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
  /** It will never be sent: the dry-run reverted, its time had passed, or its nonce was voided. Nothing happened. */
  IntentAbandoned: z.object({ ...outcome, reason: z.enum(["reverts", "expired"]), detail: z.string() }),
} as const;

/** A call as it is stored. */
export const callSchema = z.object({ to: address, data: hex, value: uint });
