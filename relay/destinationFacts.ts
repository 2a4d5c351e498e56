import type { Tx } from "#core/db/db.ts";
import type { Append } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import type { Lane } from "./lane.ts";
import { type AttemptFact, keepOrphans, lockOrphans, type SeenAttempt } from "./orphans.ts";
import type { Progress } from "./progress.ts";
import { rowsByOnchainIds } from "./readModel.ts";
import type { MessageRow } from "./rows.ts";

/** The events of attempts that a destination has shown; those of unknown messages are kept for later. */
export async function appendsOfAttempts(tx: Tx, chain: string, facts: readonly AttemptFact[]): Promise<Append[]> {
  const ids = facts.map(({ id }) => id);
  let rows = await rowsByOnchainIds(tx, ids);
  if (ids.some((id) => !rows.has(id))) {
    await lockOrphans(tx, "exclusive");
    rows = await rowsByOnchainIds(tx, ids);
    const unknown = facts.filter(({ id }) => !rows.has(id));
    await keepOrphans(tx, chain, unknown);
  }
  const appends: Append[] = [];
  for (const [id, seen] of Map.groupBy(facts, (fact) => fact.id)) {
    const row = rows.get(id);
    if (!row) continue;
    const events = seen
      .filter((fact) => !isKnown(row.progress, fact))
      .flatMap((fact) => outcomeEvents(row.progress, seenOf(fact)));
    if (events.length === 0) continue;
    appends.push({ stream: messageStream(row.id), expected: row.version, events });
  }
  return appends;
}

/** Blocks may be shown twice; an attempt of a kind happens once unless a reorganisation took it back. */
const isKnown = (progress: Progress, { kind }: AttemptFact): boolean => progress[kind] !== undefined;

const seenOf = (fact: AttemptFact): SeenAttempt => ({
  onchainId: fact.id,
  kind: fact.kind,
  reason: fact.kind === "failed" ? fact.reason : "0x",
  transactionHash: fact.log.transactionHash,
  blockNumber: fact.log.blockNumber,
  blockHash: fact.log.blockHash,
  at: fact.at,
  final: false,
});

/** What was seen of a message at its destination, as events. */
export function outcomeEvents({ origin, destination }: Lane, seen: SeenAttempt): MessageEvent[] {
  const { transactionHash, blockNumber, blockHash, at, reason } = seen;
  const data = { origin, destination, transactionHash, blockNumber, blockHash, at };
  const outcome = seen.kind === "executed" ? ("delivered" as const) : ("failed" as const);
  const event: MessageEvent =
    outcome === "delivered"
      ? { type: "MessageDelivered", data }
      : { type: "MessageFailed", data: { ...data, reason: reason satisfies Hex } };
  if (!seen.final) return [event];
  return [event, { type: "DeliveryFinalized", data: { origin, destination, outcome, finalHeight: blockNumber } }];
}

const outcomes = [
  ["executed", "delivered"],
  ["failed", "failed"],
] as const;

/** Takes back what was seen above `ancestor`: the retry's success before the first attempt's failure. */
export function undoneEvents({ progress }: MessageRow, ancestor: bigint): MessageEvent[] {
  const { origin, destination } = progress;
  return outcomes
    .filter(([key]) => progress[key] && progress[key].block > ancestor)
    .map(([, undone]) => ({ type: "DeliveryReorged", data: { origin, destination, undone, ancestor } }));
}

/** What is final by `height` of what was seen. */
export function settledEvents({ progress }: MessageRow, finalHeight: bigint): MessageEvent[] {
  const { origin, destination } = progress;
  return outcomes
    .filter(([key]) => progress[key] && !progress[key].final && progress[key].block <= finalHeight)
    .map(([, outcome]) => ({ type: "DeliveryFinalized", data: { origin, destination, outcome, finalHeight } }));
}
