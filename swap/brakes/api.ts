import { z } from "zod";
import type { KeyStore } from "#core/chain/keys.ts";
import { problemSchema } from "#core/http/problem.ts";
import type { HttpServer } from "#core/http/server.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { SwapChains } from "../chains.ts";
import { lockStep } from "../events.ts";
import { type SwapView, swapViewSchema } from "../schemas.ts";
import { words } from "./approver.ts";
import type { Decisions } from "./decisions.ts";
import type { Halt, Halts } from "./halts.ts";
import { haltedAssetSchema, type Scope } from "./scope.ts";

const secured = [{ startupToken: [] }];
const problems = { "4xx": problemSchema, "5xx": problemSchema };

const scope = {
  account: z.string().min(1).max(100).optional().meta({ description: "A managed account", example: "bob" }),
  chain: z.string().min(1).max(100).optional().meta({ example: "beta" }),
  asset: haltedAssetSchema
    .optional()
    .meta({ description: "On `chain`; of a collection all, unless one token is named" }),
};
const haltRequest = z
  .strictObject({ ...scope, reason: words.meta({ description: "Why, in words; swaps that are held show it" }) })
  .refine(({ account, chain, asset }) => account === undefined || (chain ?? asset) === undefined, {
    path: ["account"],
    message: "a halt is of an account, or of a chain or an asset of one",
  })
  .refine(({ chain, asset }) => asset === undefined || chain !== undefined, {
    path: ["chain"],
    message: "expected the chain that the asset is on",
  })
  .meta({ id: "HaltRequest", description: "Without account and chain everything is halted" });
const haltSchema = z
  .object({
    ...{ id: z.string(), ...scope, reason: z.string() },
    since: z.string().meta({ description: "ISO 8601" }),
    liftedAt: z.string().optional().meta({ description: "ISO 8601" }),
  })
  .meta({ id: "Halt" });

const printableId = z.string().regex(/^[\x21-\x7e]{1,80}$/, "expected an id of printable characters");

type HaltDeps = { halts: Halts; chains: Pick<SwapChains, "get">; keyStore: Pick<KeyStore, "names"> };

/** Routes of `/v1/halts`. */
export function createHaltRoutes({ halts, chains, keyStore }: HaltDeps): (app: HttpServer) => Promise<void> {
  function requireKnown({ account, chain }: Scope): void {
    if (chain !== undefined) chains.get(chain, "chain");
    const known = keyStore.names();
    if (account === undefined || known.includes(account)) return;
    throw new LockstepError(
      "account-unknown",
      `there is no managed account "${account}"; there are ${known.join(", ")}`,
      {
        details: { field: "account", known },
      },
    );
  }

  return async (app) => {
    app.get(
      "/v1/halts",
      {
        schema: {
          tags: ["halts"],
          summary: "What is not locked at present by order of operators",
          response: { 200: z.object({ halts: z.array(haltSchema) }), ...problems },
        },
      },
      async () => ({ halts: (await halts.standing()).map(shown) }),
    );
    app.put(
      "/v1/halts",
      {
        schema: {
          tags: ["halts"],
          summary: "Halt locking by an account, of an asset, on a chain, or altogether",
          description: "Counts from the answer on, in every process. Claims and refunds go on.",
          security: secured,
          body: haltRequest,
          response: { 200: haltSchema, ...problems },
        },
      },
      async ({ body: { reason, ...of } }) => {
        requireKnown(of);
        return shown(await halts.put(of, reason));
      },
    );
    app.delete(
      "/v1/halts/:id",
      {
        schema: {
          tags: ["halts"],
          summary: "Lift a halt",
          security: secured,
          params: z.object({ id: printableId }),
          response: { 200: haltSchema, ...problems },
        },
      },
      async ({ params: { id } }) => {
        const lifted = await halts.lift(id);
        if (lifted) return shown(lifted);
        throw new LockstepError("not-found", "there is no halt with this id", { details: { field: "id" } });
      },
    );
  };
}

const shown = ({ since, liftedAt, ...rest }: Halt): z.output<typeof haltSchema> => ({
  ...rest,
  since: since.toISOString(),
  ...(liftedAt && { liftedAt: liftedAt.toISOString() }),
});

const decisionRequest = z
  .strictObject({
    reason: words.optional(),
    step: lockStep.optional().meta({ description: "One lock; all that are still to be made when left out" }),
  })
  .meta({ id: "SwapDecision" });

type DecisionDeps = {
  decisions: Decisions;
  driver: { advance(swapId: string): Promise<void> };
  /** The service's id of a swap, from whatever names it. */
  idOf(reference: string): Promise<string>;
  show(id: string): Promise<SwapView>;
};

/** `POST /v1/swaps/{id}/approve` and `/reject`. */
export function decisionRoutes(app: HttpServer, { decisions, driver, idOf, show }: DecisionDeps): void {
  for (const [verb, summary] of [
    ["approve", "Let the locks of a swap be made that wait for it"],
    ["reject", "Give a swap up before it is locked further; what is locked is refunded"],
  ] as const) {
    app.post(
      `/v1/swaps/:id/${verb}`,
      {
        schema: {
          tags: ["swaps"],
          summary,
          security: secured,
          params: z.object({ id: printableId.meta({ description: "The swap's id, hashlock or a lock id" }) }),
          body: decisionRequest.nullish(),
          response: { 202: swapViewSchema, ...problems },
        },
      },
      async ({ params, body }, reply) => {
        const id = await idOf(params.id);
        await decisions[verb](id, { by: "operator", ...body });
        await driver.advance(id);
        return reply.code(202).send(await show(id));
      },
    );
  }
}
