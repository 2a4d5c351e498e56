import { z } from "zod";
import type { Queryable } from "../db/db.ts";
import type { SpanAttributes, Stage } from "../observe/tracing.ts";
import type { TrackingId } from "../observe/tracking.ts";
import type { EventStore, StoredEvent } from "./store.ts";

/**
 * A stage, with the position of the event that has ended it. `countedAt`: of the one with which its time is counted, where
 * whoever counts passes over the other.
 */
export type EndedStage = Stage & { readonly position: bigint; readonly countedAt?: bigint };

/** Something that was begun, and the intent of its transaction. Time in Unix milliseconds. */
export type Opening = {
  /** Of the stage that it becomes when it ends. */
  readonly key: string;
  readonly at: number;
  readonly intentId: string;
  readonly links: readonly TrackingId[];
};

/** What an event tells by having happened, as a stage without length; one event and name make one stage. */
export function instant(
  tracking: TrackingId,
  name: string,
  { at, position }: Pick<StoredEvent, "at" | "position">,
  attributes: SpanAttributes = {},
): EndedStage {
  return { tracking, name, key: `${name}-${position}`, start: at.getTime(), end: at.getTime(), attributes, position };
}

const intentStream = (intentId: string) => `intent-${intentId}`;

/** The transaction that an event is about, and what that is for; undefined for other events. */
export function transactionOf({ stream, data }: Pick<StoredEvent, "stream" | "data">) {
  if (!stream.startsWith(intentStream(""))) return undefined;
  const subject = typeof data === "object" && data !== null && "subject" in data ? String(data.subject) : "";
  return { intentId: stream.slice(intentStream("").length), subject };
}

/** The events of transactions, by the ids of their intents. */
export async function eventsOfTransactions(
  store: Pick<EventStore, "loadMany">,
  from: Queryable,
  intentIds: readonly string[],
): Promise<ReadonlyMap<string, readonly StoredEvent[]>> {
  const loaded = await store.loadMany(from, [...new Set(intentIds)].map(intentStream));
  return new Map([...loaded].map(([stream, events]) => [stream.slice(intentStream("").length), events]));
}

/** What the events of transactions say for everybody; the sender has all of their schemas. */
const mined = z.object({
  chain: z.string(),
  kind: z.string(),
  hash: z.string(),
  blockNumber: z.bigint(),
  status: z.string(),
});
const abandoned = z.object({ chain: z.string(), kind: z.string(), reason: z.string() });

/** How the transactions of what was begun went: until they were in a block, and until that was final. */
export function transactionStages(
  tracking: TrackingId,
  openings: readonly Opening[],
  intents: ReadonlyMap<string, readonly StoredEvent[]>,
): EndedStage[] {
  return openings.flatMap(({ key, at, intentId }) => {
    let since = at;
    return (intents.get(intentId) ?? []).flatMap((event): EndedStage[] => {
      const found = stageOf(tracking, event);
      if (!found) return [];
      // A transaction may carry what was begun twice, once under another key.
      const stage = { ...found, key: `${found.key}-${key}`, parent: key, start: Math.min(since, found.end) };
      since = found.end;
      return [stage];
    });
  });
}

function stageOf(tracking: TrackingId, event: StoredEvent): EndedStage | undefined {
  if (event.type === "IntentAbandoned") {
    const { chain, kind, reason } = abandoned.parse(event.data);
    return {
      ...instant(tracking, "transaction.abandoned", event, { "lockstep.chain": chain, "lockstep.kind": kind }),
      error: reason,
    };
  }
  const name = event.type === "IntentIncluded" ? "transaction.inclusion" : "transaction.finality";
  const { chain, kind, hash, blockNumber, status } = mined.parse(event.data);
  const facts = {
    "lockstep.chain": chain,
    "lockstep.kind": kind,
    "lockstep.transaction": hash,
    "lockstep.block": String(blockNumber),
  };
  return { ...instant(tracking, name, event, facts), ...(status === "reverted" && { error: "reverted" }) };
}
