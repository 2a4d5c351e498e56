import type { Approver } from "./approver.ts";

/** Leaves every lock to an operator, who decides over the API. */
export function createManualApprover(): Approver {
  return {
    by: "rules",
    decide: async () => ({ decision: "hold", reason: "an operator has to approve it" }),
  };
}
