import { z } from "zod";
import {
  archivedAlone,
  archivedQuery,
  isFreeOfFilters,
  nextCursor,
  pageQuery,
  plainText,
  printableId,
  timeQuery,
} from "#core/http/page.ts";
import { defineRoute } from "#core/http/route.ts";
import { chainTroubles } from "#core/http/routeErrors.ts";
import { address, hash } from "#core/kernel/codec.ts";
import { decisionRequestSchema, haltRequestSchema, haltSchema } from "./brakes/schemas.ts";
import {
  claimExample,
  decisionExample,
  deskExample,
  haltExample,
  haltRequestExample,
  lockExample,
  orderExample,
  quoteExample,
  quoteRequestExample,
  signatureExample,
  swapExample,
} from "./examples.ts";
import { deskViewSchema, quoteRequestSchema, quoteViewSchema, swapOrderSchema } from "./quotes/schemas.ts";
import { claimRequestSchema, signatureRequestSchema, swapViewSchema } from "./schemas.ts";
import { swapStatuses } from "./status.ts";
import { lockViewSchema } from "./watch/schemas.ts";

export type { NextStep } from "./schemas.ts";
export { shownSwapKinds } from "./shownEvents.ts";

/** Why the desk does not trade, now or at all. */
const deskRefusals = [
  "pair-unknown",
  "amount-out-of-range",
  "price-unavailable",
  "inventory-insufficient",
  "limit-reached",
] as const;

/** What taking a swap's next step may meet. */
const advancing = [...chainTroubles, "chain-unknown", "chain-time-off", "call-reverted", "secret-missing"] as const;

const lockChain = z.string().regex(/^[\x21-\x7e]{1,80}$/, "expected a chain's name");
const idParams = z.object({ id: printableId.meta({ description: "The swap's id, hashlock or a lock id" }) });

export const requestSwap = defineRoute({
  name: "requestSwap",
  ...{ method: "POST", url: "/v1/swaps", access: "trader" },
  ...{ tag: "swaps", summary: "Request a swap" },
  ...{ body: swapOrderSchema, status: 202, answer: swapViewSchema, tracks: "swap-" },
  location: "/v1/swaps/:id",
  errors: [
    "restoring",
    "chain-unknown",
    "chain-paused",
    "chain-time-off",
    "account-unknown",
    "token-invalid",
    "call-reverted",
    "balance-insufficient",
    "timelocks-unsafe",
    "hashlock-used",
    "halted",
    ...deskRefusals,
    "quote-invalid",
    "quote-expired",
    "quote-used",
    "price-moved",
    ...chainTroubles,
  ],
  examples: { body: orderExample, answer: swapExample },
});

export const listSwaps = defineRoute({
  name: "listSwaps",
  ...{ method: "GET", url: "/v1/swaps", access: "viewer" },
  ...{ tag: "swaps", summary: "Swaps, newest first" },
  query: z
    .strictObject({
      status: z.enum(swapStatuses).optional(),
      chain: lockChain.optional().meta({ description: "Of one of the two legs" }),
      account: plainText(100).min(1).optional().meta({ description: "Managed account that sends for the swap" }),
      address: address.optional().meta({ description: "Of whoever gives or gets something" }),
      ...timeQuery,
      ...archivedQuery,
      ...pageQuery,
    })
    .refine(isFreeOfFilters, archivedAlone),
  errors: ["chain-unknown"],
  answer: z.object({ swaps: z.array(swapViewSchema), next: nextCursor }),
  examples: { answer: { swaps: [swapExample], next: "41" } },
});

export const getSwap = defineRoute({
  name: "getSwap",
  ...{ method: "GET", url: "/v1/swaps/:id", access: "viewer" },
  ...{ tag: "swaps", summary: "A swap, and why it is where it is" },
  ...{ params: idParams, answer: swapViewSchema },
  errors: ["not-found"],
  examples: { answer: swapExample },
});

export const claimSwap = defineRoute({
  name: "claimSwap",
  ...{ method: "POST", url: "/v1/swaps/:id/claim", access: "trader" },
  ...{ tag: "swaps", summary: "Take the next claim now" },
  ...{ params: idParams, body: claimRequestSchema.nullish(), status: 202, answer: swapViewSchema, tracks: "swap-" },
  errors: ["not-found", "swap-not-claimable", "swap-not-waiting", "swap-over", "secret-wrong", ...advancing],
  examples: { body: claimExample, answer: swapExample },
});

export const signSwap = defineRoute({
  name: "signSwap",
  ...{ method: "POST", url: "/v1/swaps/:id/signatures", access: "trader" },
  ...{ tag: "swaps", summary: "Hand in what an external party signed" },
  ...{ params: idParams, body: signatureRequestSchema, status: 202, answer: swapViewSchema, tracks: "swap-" },
  errors: [
    "not-found",
    "swap-not-waiting",
    "swap-not-ready",
    "signature-invalid",
    "allowance-missing",
    "token-invalid",
    ...advancing,
  ],
  examples: { body: signatureExample, answer: swapExample },
});

export const refundSwap = defineRoute({
  name: "refundSwap",
  ...{ method: "POST", url: "/v1/swaps/:id/refund", access: "trader" },
  ...{ tag: "swaps", summary: "Refund what can be refunded now" },
  ...{ params: idParams, status: 202, answer: swapViewSchema, tracks: "swap-" },
  errors: ["not-found", "swap-not-refundable", "swap-over", ...advancing],
  examples: { answer: swapExample },
});

const decision = {
  method: "POST",
  access: "operator",
  tag: "swaps",
  params: idParams,
  body: decisionRequestSchema.nullish(),
  status: 202,
  answer: swapViewSchema,
  tracks: "swap-",
} as const;

export const approveSwap = defineRoute({
  name: "approveSwap",
  ...{ ...decision, url: "/v1/swaps/:id/approve" },
  summary: "Let the locks of a swap be made that wait for it",
  errors: ["not-found", "swap-not-waiting", ...advancing],
  examples: { body: decisionExample, answer: swapExample },
});

export const rejectSwap = defineRoute({
  name: "rejectSwap",
  ...{ ...decision, url: "/v1/swaps/:id/reject" },
  summary: "Give a swap up before it is locked further; what is locked is refunded",
  errors: ["not-found", "swap-not-waiting", ...advancing],
  examples: { body: decisionExample, answer: swapExample },
});

export const requestQuote = defineRoute({
  name: "requestQuote",
  ...{ method: "POST", url: "/v1/quotes", access: "trader" },
  ...{ tag: "quotes", summary: "Ask the desk what it would give or want" },
  ...{ body: quoteRequestSchema, answer: quoteViewSchema },
  errors: ["not-found", "chain-unknown", "chain-paused", "chain-time-off", ...deskRefusals, ...chainTroubles],
  examples: { body: quoteRequestExample, answer: quoteExample },
});

export const getDesk = defineRoute({
  name: "getDesk",
  ...{ method: "GET", url: "/v1/desk", access: "viewer" },
  ...{ tag: "quotes", summary: "What the desk trades, within which limits, and what it could give now" },
  answer: deskViewSchema,
  errors: ["not-found", ...chainTroubles],
  examples: { answer: deskExample },
});

const lockParams = z.object({
  chain: lockChain,
  lockId: hash.meta({ description: "The lock's id on its chain: the hash of its terms" }),
});

export const listLocks = defineRoute({
  name: "listLocks",
  ...{ method: "GET", url: "/v1/locks", access: "viewer" },
  ...{ tag: "locks", summary: "Locks of the timelock contracts, whoever they belong to, newest first" },
  query: z.strictObject({
    chain: lockChain.optional(),
    state: z.enum(["open", "claimed", "refunded"]).optional(),
    watched: z
      .enum(["true", "false"])
      .transform((text) => text === "true")
      .optional()
      .meta({ description: "Only locks whose watch goes on, or only others" }),
    ...pageQuery,
  }),
  answer: z.object({ locks: z.array(lockViewSchema), next: nextCursor }),
  errors: ["chain-unknown"],
  examples: { answer: { locks: [lockExample] } },
});

export const getLock = defineRoute({
  name: "getLock",
  ...{ method: "GET", url: "/v1/locks/:chain/:lockId", access: "viewer" },
  ...{ tag: "locks", summary: "A lock, and what the service does about it" },
  ...{ params: lockParams, answer: lockViewSchema },
  errors: ["not-found", "chain-unknown"],
  examples: { answer: lockExample },
});

export const watchLock = defineRoute({
  name: "watchLock",
  ...{ method: "POST", url: "/v1/locks/:chain/:lockId/watch", access: "trader" },
  ...{ tag: "locks", summary: "Drive a lock of others to its end" },
  ...{ params: lockParams, status: 202, answer: lockViewSchema },
  errors: [
    "not-found",
    "chain-unknown",
    "chain-paused",
    "restoring",
    "lock-of-swap",
    "lock-ended",
    "watchtower-off",
    "watchtower-full",
    "tip-too-low",
    "tip-missing",
    ...chainTroubles,
  ],
  examples: { answer: lockExample },
});

export const listHalts = defineRoute({
  name: "listHalts",
  ...{ method: "GET", url: "/v1/halts", access: "viewer" },
  ...{ tag: "halts", summary: "What is not locked at present by order of operators" },
  answer: z.object({ halts: z.array(haltSchema) }),
  examples: { answer: { halts: [haltExample] } },
});

export const putHalt = defineRoute({
  name: "putHalt",
  ...{ method: "PUT", url: "/v1/halts", access: "operator" },
  ...{ tag: "halts", summary: "Halt locking by an account, of an asset, on a chain, or altogether" },
  description:
    "Counts from the answer on, in every process. Claims and refunds go on. An unknown account or chain is refused, and an asset that the chain shows to be none; a chain that does not answer is no hindrance.",
  ...{ body: haltRequestSchema, answer: haltSchema },
  errors: ["account-unknown", "chain-unknown", "token-invalid"],
  examples: { body: haltRequestExample, answer: haltExample },
});

export const liftHalt = defineRoute({
  name: "liftHalt",
  ...{ method: "DELETE", url: "/v1/halts/:id", access: "operator" },
  ...{ tag: "halts", summary: "Lift a halt" },
  ...{ params: z.object({ id: printableId }), answer: haltSchema },
  errors: ["not-found"],
  examples: { answer: { ...haltExample, liftedAt: haltExample.since } },
});
