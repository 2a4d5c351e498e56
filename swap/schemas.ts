import { z } from "zod";
import { address, hash, hex, uint } from "#core/kernel/codec.ts";
import { assetSchema, signatureKind } from "./events.ts";
import { swapStatuses } from "./status.ts";

const positive = uint.refine((value) => value > 0n, "expected an amount above zero");

/** The same for what is asked for and what is shown, of swaps and of locks. */
export const amountDescription = "Smallest units of the asset, as a decimal string; of an ERC-721 always 1";

const legRequest = z
  .strictObject({
    chain: z.string().min(1).meta({ example: "alpha" }),
    asset: assetSchema,
    amount: positive.meta({
      description: amountDescription,
      example: "1000000000000000000",
    }),
    tip: uint
      .refine((tip) => tip < 1n << 96n, "expected less than 2^96")
      .optional()
      .meta({ description: "Wei on top of the amount, for whoever sends the claim or the refund; none when left out" }),
  })
  .refine(({ asset, amount }) => asset.type !== "erc721" || amount === 1n, {
    path: ["amount"],
    message: "expected 1, since an ERC-721 token is one",
  });

const managedRequest = z.strictObject({
  account: z.string().min(1).meta({ description: "A managed account", example: "alice" }),
});
const externalRequest = z.strictObject({
  source: address.meta({ description: "Its address on the source chain" }),
  target: address.meta({ description: "Its address on the target chain" }),
});
const partyRequest = z.union(
  [managedRequest, externalRequest],
  'expected { "account": "…" } for a managed party, or { "source": "0x…", "target": "0x…" } for an external one',
);

const seconds = z
  .int()
  .positive()
  .max(30 * 24 * 3600);

/** Body of `POST /v1/swaps`. */
export const swapRequestSchema = z
  .strictObject({
    source: legRequest.meta({ description: "What the initiator gives" }),
    target: legRequest.meta({ description: "What the counterparty gives" }),
    initiator: partyRequest,
    counterparty: partyRequest,
    hashlock: hash.optional().meta({
      description: "SHA-256 of the 32-byte secret of an external initiator; the service makes one for a managed one",
    }),
    timelocks: z
      .strictObject({ source: seconds, target: seconds })
      .optional()
      .meta({ description: "Seconds from now until each leg can be refunded; safe ones are chosen when left out" }),
  })
  .meta({ id: "SwapRequest" });
export type SwapRequest = z.output<typeof swapRequestSchema>;

const sightingSchema = z.object({ transactionHash: hash, blockNumber: uint, final: z.boolean() });

const legView = z.object({
  chain: z.string(),
  contract: address,
  lockId: hash.meta({ description: "The lock's id on its chain: the hash of its terms" }),
  asset: assetSchema,
  amount: uint.meta({ description: amountDescription }),
  sender: address,
  recipient: address,
  timelock: uint.meta({ description: "Unix seconds: claim before, refund from" }),
  state: z.enum(["none", "detected", "locked", "claimed", "refunded"]),
  lock: sightingSchema.optional(),
  end: sightingSchema.optional(),
});

const timelineEntry = z.object({
  at: z.string().meta({ description: "When the service learned it, ISO 8601" }),
  what: z.string(),
  leg: z.enum(["source", "target"]).optional(),
  transactionHash: hash.optional(),
  blockNumber: uint.optional(),
  code: z.string().optional(),
  detail: z.string().optional(),
});
export type TimelineEntry = z.output<typeof timelineEntry>;

const party = z.union([z.object({ account: z.string(), address }), z.object({ source: address, target: address })]);

/** Body of `POST /v1/swaps/{id}/signatures`. */
export const signatureRequestSchema = z
  .strictObject({
    leg: z.enum(["source", "target"]),
    kind: signatureKind,
    signature: hex.meta({ description: "Over the typed data that the swap's `next` shows" }),
    nonce: uint.optional().meta({ description: "The one that was signed, where it is not the one shown" }),
    deadline: uint.optional().meta({ description: "The one that was signed, where it is not the one shown" }),
  })
  .meta({ id: "SwapSignature" });
export type SignatureRequest = z.output<typeof signatureRequestSchema>;

/** Body of `POST /v1/swaps/{id}/claim`. */
export const claimRequestSchema = z
  .strictObject({
    secret: hash.optional().meta({ description: "An external initiator's, so that the service claims for it" }),
  })
  .meta({ id: "SwapClaim" });

const readyTransaction = z.object({
  what: z.enum(["approve", "lock", "claim", "refund"]),
  chain: z.string(),
  chainId: z.number().int(),
  from: address.optional().meta({ description: "Who has to send it; anyone may where it is left out" }),
  to: address,
  data: hex,
  value: uint,
  secretOffset: z
    .number()
    .int()
    .optional()
    .meta({ description: "Put the secret's 32 bytes at this offset of the data, which has zeros there" }),
});

/** What an external party is waited for to do. */
const nextSchema = z.object({
  action: z.string(),
  by: z.enum(["initiator", "counterparty"]),
  until: uint.meta({ description: "Unix seconds from which on it is not safe any more" }),
  transactions: z.array(readyTransaction).meta({ description: "To be sent in this order" }),
  typedData: z.array(
    z.object({
      leg: z.enum(["source", "target"]),
      kind: signatureKind,
      nonce: uint,
      deadline: uint,
      typedData: z.record(z.string(), z.unknown()).meta({ description: "For eth_signTypedData_v4" }),
      transactions: z.array(readyTransaction).optional().meta({
        description: "What the signer has to send before the signature is taken; left out where there is nothing",
      }),
    }),
  ),
});
export type NextStep = z.output<typeof nextSchema>;

/** A swap as the API shows it. */
export const swapViewSchema = z
  .object({
    id: z.string(),
    status: z.enum(swapStatuses),
    reason: z.object({
      code: z.string(),
      message: z.string(),
      nextAttemptAt: z.string().optional().meta({ description: "When the service looks again, ISO 8601" }),
    }),
    hashlock: hash,
    initiator: party,
    counterparty: party,
    source: legView,
    target: legView,
    deadlines: z.object({ sourceLockBy: uint, counterLockBy: uint, revealBy: uint }).meta({
      description:
        "Unix seconds, the last at which the source lock, the counter-lock and the claim of the target leg are safe to send",
    }),
    next: nextSchema.optional().meta({
      description: "What an external party has to do, ready to be sent or signed; hand signatures in at /signatures",
    }),
    createdAt: z.string(),
    timeline: z.array(timelineEntry),
  })
  .meta({ id: "Swap" });
export type SwapView = z.output<typeof swapViewSchema>;
