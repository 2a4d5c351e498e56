import { z } from "zod";
import { address, hash, uint } from "#core/kernel/codec.ts";
import { assetSchema } from "../events.ts";
import { amountDescription } from "../schemas.ts";

const sighting = z.object({ transactionHash: hash, blockNumber: uint, final: z.boolean() });

const timelineEntry = z.object({
  at: z.string().meta({ description: "When the service learned it, ISO 8601" }),
  what: z.string(),
  code: z.string().optional(),
  detail: z.string().optional(),
});

const watchView = z.object({
  state: z.enum(["watching", "claimed", "refunded", "gone", "missed", "failed"]),
  account: z.string().optional().meta({ description: "The managed account that the lock concerns, where one is" }),
  reason: z.object({
    code: z.string(),
    message: z.string(),
    nextAttemptAt: z.string().optional().meta({ description: "When the service looks again, ISO 8601" }),
  }),
  timeline: z.array(timelineEntry),
});

/** A lock of a timelock contract as the API shows it, whoever it belongs to. */
export const lockViewSchema = z
  .object({
    chain: z.string(),
    lockId: hash.meta({ description: "The hash of the lock's terms" }),
    state: z.enum(["open", "claimed", "refunded"]),
    asset: assetSchema,
    amount: uint.meta({ description: amountDescription }),
    sender: address,
    recipient: address,
    hashlock: hash,
    timelock: uint.meta({ description: "Unix seconds: claim before, refund from" }),
    tip: uint.meta({ description: "Wei on top of the amount, for whoever claims or refunds" }),
    batch: z.object({ root: hash, index: z.number().int() }).optional(),
    lock: sighting,
    end: sighting.optional(),
    secret: hash.optional().meta({ description: "Once a claim of any chain has shown it" }),
    swap: z.string().optional().meta({ description: "The swap of this service that the lock is a leg of" }),
    watch: watchView.optional(),
  })
  .meta({ id: "Lock" });
export type LockView = z.output<typeof lockViewSchema>;
