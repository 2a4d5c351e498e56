import { z } from "zod";
import { plainText } from "#core/http/page.ts";
import { hash } from "#core/kernel/codec.ts";
import { legTermsSchema, lockStep, partySchema } from "../events.ts";
import { managed, partyOf } from "../parties.ts";
import type { Swap } from "../swap.ts";

export type LockStep = z.infer<typeof lockStep>;

/** What is asked before a managed account locks: everything that the lock and its swap are about, and no secret. */
export const questionSchema = z.object({
  /** The same for the same lock, however often it is asked. */
  id: z.string(),
  swap: z.string(),
  step: lockStep,
  /** The managed account that would lock. */
  account: z.string(),
  hashlock: hash,
  initiator: partySchema,
  counterparty: partySchema,
  source: legTermsSchema,
  target: legTermsSchema,
  /** ISO 8601. */
  requestedAt: z.string(),
});
export type Question = z.output<typeof questionSchema>;

/** Words for people that any database and log takes. */
export const words = plainText(500).min(1);

export type Decision =
  | { readonly decision: "accept"; readonly reason?: string }
  /** Not now: it is asked again later, and an operator can decide meanwhile. */
  | { readonly decision: "hold"; readonly reason: string }
  | { readonly decision: "reject"; readonly reason: string };

/** Whoever decides whether a lock is made. */
export type Approver = {
  /** Who it is, as it stands in the events of the swap. */
  readonly by: string;
  /** Never rejects: what could not be decided is a hold. Ends soon after the signal aborts. */
  decide(question: Question, signal: AbortSignal): Promise<Decision>;
};

export function questionOf(swap: Swap, step: LockStep): Question {
  return {
    ...{ id: `swap-${swap.id}-${step}`, swap: swap.id, step },
    account: managed(swap[partyOf(step)]) ?? "",
    ...{ hashlock: swap.hashlock, initiator: swap.initiator, counterparty: swap.counterparty },
    ...{ source: swap.terms.source, target: swap.terms.target },
    requestedAt: swap.requestedAt.toISOString(),
  };
}
