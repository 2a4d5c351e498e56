import { z } from "zod";
import { lockStep } from "../events.ts";
import { words } from "./approver.ts";
import { haltedAssetSchema } from "./scope.ts";

const scope = {
  account: z.string().min(1).max(100).optional().meta({ description: "A managed account", example: "bob" }),
  chain: z.string().min(1).max(100).optional().meta({ example: "beta" }),
  asset: haltedAssetSchema
    .optional()
    .meta({ description: "On `chain`; of a collection all, unless one token is named" }),
};

/** Body of `PUT /v1/halts`. */
export const haltRequestSchema = z
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

/** A halt as the API shows it. */
export const haltSchema = z
  .object({
    ...{ id: z.string(), ...scope, reason: z.string() },
    since: z.string().meta({ description: "ISO 8601" }),
    liftedAt: z.string().optional().meta({ description: "ISO 8601" }),
  })
  .meta({ id: "Halt" });

/** Body of `POST /v1/swaps/{id}/approve` and `/reject`. */
export const decisionRequestSchema = z
  .strictObject({
    reason: words.optional(),
    step: lockStep.optional().meta({ description: "One lock; all that are still to be made when left out" }),
  })
  .meta({ id: "SwapDecision" });
