import { z } from "zod";
import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { problemSchema } from "#core/http/problem.ts";
import type { HttpServer } from "#core/http/server.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Sender } from "#core/sender/sender.ts";
import { decisionRoutes } from "./brakes/api.ts";
import type { Decisions } from "./brakes/decisions.ts";
import type { SwapChains } from "./chains.ts";
import type { SwapDriver } from "./driver.ts";
import type { HandIn } from "./handIn.ts";
import type { Hold } from "./nextAction.ts";
import type { Quoting } from "./quotes/quoting.ts";
import { swapOrderSchema } from "./quotes/schemas.ts";
import { createSwapReader } from "./reader.ts";
import { findSwapId, listSwapIds } from "./readModel.ts";
import type { SwapRequester } from "./request.ts";
import { claimRequestSchema, type SwapView, signatureRequestSchema, swapViewSchema } from "./schemas.ts";
import type { Swap } from "./swap.ts";

type Deps = {
  db: Db;
  store: EventStore;
  chains: SwapChains;
  clock: Clock;
  requester: SwapRequester;
  quoting: Pick<Quoting, "settle">;
  driver: SwapDriver;
  sender: Pick<Sender, "find">;
  handIn: HandIn;
  /** Why nothing more is locked for swaps, as it is now. */
  holds(): Promise<(swap: Swap) => Hold | undefined>;
  decisions: Decisions;
};

const idParams = z.object({
  id: z
    .string()
    .regex(/^[\x21-\x7e]{1,80}$/, "expected an id of printable characters")
    .meta({ description: "The swap's id, hashlock or a lock id" }),
});
const listQuery = z.strictObject({
  cursor: z
    .string()
    .regex(/^[0-9]{1,18}$/, "expected the `next` of an earlier answer")
    .optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});
const listSchema = z.object({ swaps: z.array(swapViewSchema), next: z.string().optional() });
const problems = { "4xx": problemSchema, "5xx": problemSchema };
const secured = [{ startupToken: [] }];

/** Routes of `/v1/swaps`. */
export function createSwapRoutes(deps: Deps): (app: HttpServer) => Promise<void> {
  const reader = createSwapReader(deps);
  const idOf = async (reference: string) => (await findSwapId(deps.db, reference.toLowerCase())) ?? reference;
  const find = async (reference: string) => reader.whole(await idOf(reference));

  return async (app) => {
    decisionRoutes(app, { ...deps, idOf, show: reader.whole });
    app.post(
      "/v1/swaps",
      {
        schema: {
          tags: ["swaps"],
          summary: "Request a swap",
          security: secured,
          body: swapOrderSchema,
          response: { 202: swapViewSchema, ...problems },
        },
      },
      async ({ body }, reply) => {
        const settled = await deps.quoting.settle(body);
        return reply.code(202).send(await reader.whole(await deps.requester.request(settled)));
      },
    );
    app.get(
      "/v1/swaps",
      {
        schema: {
          tags: ["swaps"],
          summary: "Swaps, newest first",
          querystring: listQuery,
          response: { 200: listSchema, ...problems },
        },
      },
      async ({ query }) => {
        const page = await listSwapIds(
          deps.db,
          query.cursor === undefined ? undefined : BigInt(query.cursor),
          query.limit,
        );
        const last = page.length === query.limit ? page.at(-1) : undefined;
        const swaps = await reader.listed(page.map(({ id }) => id));
        return { swaps, ...(last && { next: last.cursor.toString() }) };
      },
    );
    app.get(
      "/v1/swaps/:id",
      {
        schema: {
          tags: ["swaps"],
          summary: "A swap, and why it is where it is",
          params: idParams,
          response: { 200: swapViewSchema, ...problems },
        },
      },
      ({ params }) => find(params.id),
    );
    app.post(
      "/v1/swaps/:id/claim",
      {
        schema: {
          tags: ["swaps"],
          summary: "Take the next claim now",
          security: secured,
          params: idParams,
          body: claimRequestSchema.nullish(),
          response: { 202: swapViewSchema, ...problems },
        },
      },
      async ({ params, body }, reply) => {
        if (body?.secret) await deps.handIn.secret(await idOf(params.id), body.secret);
        const swap = await find(params.id);
        requireClaimable(swap);
        await deps.driver.advance(swap.id);
        return reply.code(202).send(await reader.whole(swap.id));
      },
    );
    app.post(
      "/v1/swaps/:id/signatures",
      {
        schema: {
          tags: ["swaps"],
          summary: "Hand in what an external party signed",
          security: secured,
          params: idParams,
          body: signatureRequestSchema,
          response: { 202: swapViewSchema, ...problems },
        },
      },
      async ({ params, body }, reply) => {
        const id = await idOf(params.id);
        await deps.handIn.signature(id, body);
        await deps.driver.advance(id);
        return reply.code(202).send(await reader.whole(id));
      },
    );
    app.post(
      "/v1/swaps/:id/refund",
      {
        schema: {
          tags: ["swaps"],
          summary: "Refund what can be refunded now",
          security: secured,
          params: idParams,
          response: { 202: swapViewSchema, ...problems },
        },
      },
      async ({ params }, reply) => {
        const swap = await find(params.id);
        requireRefundable(swap, unixSeconds(deps.clock));
        await deps.driver.advance(swap.id);
        return reply.code(202).send(await reader.whole(swap.id));
      },
    );
  };
}

function requireClaimable(swap: SwapView): void {
  const revealable = swap.status !== "refunding" && swap.source.state === "locked" && swap.target.state === "locked";
  const secretIsOut =
    swap.target.state === "claimed" && (swap.source.state === "locked" || swap.source.state === "detected");
  if (revealable || secretIsOut) return;
  throw new LockstepError(
    "swap-not-claimable",
    `source leg ${swap.source.state}, target leg ${swap.target.state}; a claim needs both legs locked, or a published secret`,
    { details: { status: swap.status } },
  );
}

function requireRefundable(swap: SwapView, now: bigint): void {
  const open = [swap.source, swap.target].filter((leg) => leg.state === "locked" || leg.state === "detected");
  if (open.some((leg) => now >= leg.timelock)) return;
  const first = open.reduce<bigint | undefined>(
    (least, leg) => (least === undefined || leg.timelock < least ? leg.timelock : least),
    undefined,
  );
  throw new LockstepError(
    "swap-not-refundable",
    first === undefined ? "no leg of the swap is locked" : `the first timelock runs out at ${first}, and it is ${now}`,
    { details: { status: swap.status, ...(first !== undefined && { timelock: first, now }) } },
  );
}
