import type { Tx } from "#core/db/db.ts";
import type { Append } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { archivedMessages } from "./archive.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import type { Lane } from "./lane.ts";
import { type LaneEvent, laneStream } from "./laneEvents.ts";
import { type AttemptFact, keepOrphans, lockOrphans, type SeenAttempt } from "./orphans.ts";
import type { Progress } from "./progress.ts";
import { rowsByOnchainIds } from "./readModel.ts";
import type { MessageRow } from "./rows.ts";
import { untouchedAccumulator } from "./runs.ts";

/**
 * The events of attempts that a destination has shown; those of unknown messages are kept for later. What goes well
 * goes in runs: one event and no row read.
 */
export async function appendsOfAttempts(tx: Tx, chain: string, facts: readonly AttemptFact[]): Promise<Append[]> {
  const single: AttemptFact[] = [];
  const runs: Append[] = [];
  for (const group of grouped(facts)) {
    const run = await runOf(tx, group);
    if (run) runs.push(run);
    else single.push(...group);
  }
  return single.length > 0 ? [...runs, ...(await appendsOfEach(tx, chain, single))] : runs;
}

/** Attempts next to each other that one event could tell: executed by one transaction, nonce after nonce. */
function grouped(facts: readonly AttemptFact[]): AttemptFact[][] {
  const groups: AttemptFact[][] = [];
  for (const fact of facts) {
    const group = groups.at(-1);
    const before = group?.at(-1);
    const follows =
      before?.kind === "executed" &&
      fact.kind === "executed" &&
      fact.lane === before.lane &&
      fact.log.transactionHash === before.log.transactionHash &&
      fact.nonce === before.nonce + 1n;
    if (group && follows) group.push(fact);
    else groups.push([fact]);
  }
  return groups;
}

/** The one event of a run; undefined when a message of it is unknown here or has more to tell. */
async function runOf(tx: Tx, group: readonly AttemptFact[]): Promise<Append | undefined> {
  const [first, last] = [group[0], group.at(-1)];
  if (!first || !last || first.kind === "failed") return undefined;
  const ids = group.map(({ id }) => id);
  const accumulator = await untouchedAccumulator(tx, first.lane, first.nonce, ids);
  if (accumulator === undefined) return undefined;
  const { origin, destination } = first.lane;
  const { transactionHash, blockNumber, blockHash } = first.log;
  const event: LaneEvent = {
    type: "MessagesDelivered",
    data: {
      ...{ origin, destination, firstNonce: first.nonce, lastNonce: last.nonce, accumulator },
      ...{ transactionHash, blockNumber, blockHash, at: first.at },
    },
  };
  return { stream: laneStream(first.lane, "destination"), expected: "any", events: [event] };
}

async function appendsOfEach(tx: Tx, chain: string, facts: readonly AttemptFact[]): Promise<Append[]> {
  const ids = facts.map(({ id }) => id);
  let rows = await rowsByOnchainIds(tx, ids);
  if (ids.some((id) => !rows.has(id))) {
    await lockOrphans(tx, "exclusive");
    rows = await rowsByOnchainIds(tx, ids);
    const unknown = facts.filter(({ id }) => !rows.has(id));
    const archived = await archivedMessages(
      tx,
      unknown.map(({ id }) => id),
    );
    await keepOrphans(
      tx,
      chain,
      unknown.filter(({ id }) => !archived.has(id)),
    );
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
