import { only, type ShownKind } from "../events/shown.ts";
import { intentEvents } from "./sender.ts";

const outcome = ["chain", "kind", "subject"] as const;
const mined = ["hash", "blockNumber", "status"] as const;

/** What is shown of what became of transactions: never what was signed. */
const shownTransactionEvents = {
  IntentIncluded: only(intentEvents.IntentIncluded, ...outcome, ...mined),
  IntentFinalized: only(intentEvents.IntentFinalized, ...outcome, ...mined, "gasUsed"),
  IntentAbandoned: only(intentEvents.IntentAbandoned, ...outcome, "reason"),
} as const;

export const shownTransactions: ShownKind = {
  kind: "transaction",
  types: shownTransactionEvents,
  subjectOf: (stream) => stream.slice("intent-".length),
  about: (_type, data) => ({ chains: [(data as { chain: string }).chain] }),
};
