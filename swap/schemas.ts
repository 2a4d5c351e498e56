import { z } from "zod";
import { address, hash, uint } from "#core/kernel/codec.ts";
import { assetSchema } from "./events.ts";
import { swapStatuses } from "./status.ts";

const positive = uint.refine((value) => value > 0n, "expected an amount above zero");

const legRequest = z.strictObject({
  chain: z.string().min(1).meta({ example: "alpha" }),
  asset: assetSchema,
  amount: positive.meta({
    description: "Smallest units of the asset, as a decimal string",
    example: "1000000000000000000",
  }),
});

const partyRequest = z.strictObject({
  account: z.string().min(1).meta({ description: "A managed account", example: "alice" }),
});

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
  amount: uint,
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

const party = z.object({ account: z.string(), address });

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
    deadlines: z.object({ sourceLockBy: uint, counterLockBy: uint, revealBy: uint }),
    createdAt: z.string(),
    timeline: z.array(timelineEntry),
  })
  .meta({ id: "Swap" });
export type SwapView = z.output<typeof swapViewSchema>;
