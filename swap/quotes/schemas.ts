import { z } from "zod";
import { address, uint } from "#core/kernel/codec.ts";
import { assetSchema } from "../events.ts";
import { swapRequestSchema } from "../schemas.ts";

const positive = uint.refine((value) => value > 0n, "expected an amount above zero");

/** Long enough for a quote with the longest names there are. */
const quoteId = z
  .string()
  .min(1)
  .max(4_096)
  .meta({ description: "The `quote` of an answer of `POST /v1/quotes`: its terms, which can be left out then" });

const sideRequest = z.strictObject({
  chain: z.string().min(1).meta({ example: "alpha" }),
  asset: assetSchema,
  amount: positive.optional().meta({ description: "Smallest units, on one of the two sides" }),
});

/** Body of `POST /v1/quotes`. */
export const quoteRequestSchema = z
  .strictObject({
    source: sideRequest.meta({ description: "What the taker gives" }),
    target: sideRequest.meta({ description: "What the desk gives" }),
  })
  .superRefine(({ source, target }, context) => {
    if ((source.amount === undefined) !== (target.amount === undefined)) return;
    const [path, message] =
      source.amount === undefined
        ? [["source", "amount"], "expected an amount here or in target.amount"]
        : [["target", "amount"], "expected an amount here or in source.amount, not in both"];
    context.addIssue({ code: "custom", path, message });
  })
  .meta({ id: "QuoteRequest" });
export type QuoteRequest = z.output<typeof quoteRequestSchema>;

const side = z.object({ chain: z.string(), asset: assetSchema, amount: uint });
const party = z.object({ account: z.string(), address });
const priceView = z
  .object({ numerator: uint, denominator: uint, at: z.string() })
  .meta({ description: "Whole units of the target asset for one whole unit of the source asset, before the fee" });
const perLeg = z.object({ source: uint, target: uint });

/** A quote as the API shows it. */
export const quoteViewSchema = z
  .object({
    quote: z.string().meta({ description: "Hand it to `POST /v1/swaps`, once" }),
    expiresAt: uint.meta({ description: "Unix seconds; good before" }),
    source: side,
    target: side,
    fee: uint.meta({ description: "Smallest units of the target asset, taken off already" }),
    price: priceView,
    counterparty: party,
    timelocks: perLeg.meta({
      description: "Unix seconds, those that a swap of a managed initiator would get now; an external one has longer",
    }),
    deadlines: z.object({ sourceLockBy: uint, counterLockBy: uint, revealBy: uint }),
    gas: perLeg.meta({ description: "Wei that a managed initiator has to hold on each chain besides what it gives" }),
  })
  .meta({ id: "Quote" });
export type QuoteView = z.output<typeof quoteViewSchema>;

const assetView = z.object({ chain: z.string(), asset: assetSchema, symbol: z.string(), decimals: z.number().int() });

/** The desk as the API shows it. */
export const deskViewSchema = z
  .object({
    counterparty: party,
    quoteSeconds: z.number().int(),
    slippageBps: z.number().int(),
    open: z.number().int().meta({ description: "Swaps with the desk that have not ended" }),
    mostOpen: z.number().int(),
    mostOpenPerTaker: z.number().int(),
    pairs: z.array(
      z.object({
        source: assetView,
        target: assetView.extend({
          mostCommitted: uint.optional(),
          mostPerTaker: uint.optional(),
          available: uint.optional().meta({ description: "Smallest units that the desk could give now" }),
        }),
        least: uint,
        most: uint,
        feeBps: z.number().int(),
        fixedFee: uint,
        price: priceView.optional(),
        reason: z.string().optional().meta({ description: "Code of the error for which there is no trade now" }),
      }),
    ),
  })
  .meta({ id: "Desk" });
export type DeskView = z.output<typeof deskViewSchema>;

const { source, target, counterparty, ...rest } = swapRequestSchema.shape;

/** Body of `POST /v1/swaps`: a request in full, or one whose terms are those of a quote. */
export const swapOrderSchema = z
  .strictObject({
    ...rest,
    source: source.optional(),
    target: target.optional(),
    counterparty: counterparty.optional(),
    quote: quoteId.optional(),
    minimum: positive.optional().meta({
      description:
        "Of the desk: the least target amount to be content with where the present price gives less than named",
    }),
  })
  .meta({ id: "SwapOrder" });
export type SwapOrder = z.output<typeof swapOrderSchema>;
