import type { Queryable, Tx } from "../db/db.ts";
import { isUniqueViolation } from "../db/failures.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { EventCodec, EventRow } from "./codec.ts";
import type { Append, StoredEvent } from "./store.ts";

/** Everybody who waits for events listens here. */
export const appendedChannel = "lockstep_events";

type NewEvent = Pick<EventRow, "stream" | "version" | "type" | "data">;

/**
 * Checks the expected versions and writes the events, in two statements whatever their number. The second one takes
 * the row of the counter, and with it the place of this transaction in the global order, until the end of the
 * transaction: positions become visible in the order in which they were given.
 */
export async function appendEvents(
  tx: Tx,
  codec: EventCodec,
  appends: readonly Append[],
  at: Date,
): Promise<StoredEvent[]> {
  const given = (await assertVersions(tx, appends)).flatMap(({ stream, before, events }) =>
    events.map((event, index) => ({ stream, version: before + index + 1, event })),
  );
  if (given.length === 0) return [];
  const rows = given.map(
    ({ event, ...place }): NewEvent => ({ ...place, type: event.type, data: codec.encode(event) }),
  );
  const base = await insert(tx, rows, at);
  return given.map(({ stream, version, event: { type, data } }, index) => {
    return { position: base + BigInt(index + 1), stream, version, type, data, at };
  });
}

type Placed = { readonly stream: string; readonly before: number; readonly events: Append["events"] };

/** The versions that the streams have before each append; several to one stream in one call follow each other. */
async function assertVersions(tx: Queryable, appends: readonly Append[]): Promise<Placed[]> {
  const rows = await tx.query<{ stream: string; version: number }>(
    `SELECT wanted.stream, last.version
       FROM unnest($1::text[]) AS wanted(stream)
       CROSS JOIN LATERAL (
         SELECT version FROM events WHERE events.stream = wanted.stream ORDER BY version DESC LIMIT 1
       ) AS last`,
    [[...new Set(appends.map(({ stream }) => stream))]],
  );
  const versions = new Map(rows.map(({ stream, version }) => [stream, version]));
  return appends.map(({ stream, expected, events }) => {
    const before = versions.get(stream) ?? 0;
    if (expected !== "any" && before !== expected) throw conflict(stream, expected, before);
    versions.set(stream, before + events.length);
    return { stream, before, events };
  });
}

/** The position before the first of the new events. */
async function insert(tx: Queryable, events: readonly NewEvent[], at: Date): Promise<bigint> {
  const rows = events.map(({ stream, version, type, data }, index) => ({ i: index + 1, stream, version, type, data }));
  try {
    const [row] = await tx.query<{ base: bigint }>(
      `WITH counter AS (
         UPDATE event_counter SET position = position + $2 RETURNING position - $2 AS base
       ), inserted AS (
         INSERT INTO events (position, stream, version, type, data, at)
         SELECT counter.base + new.i, new.stream, new.version, new.type, new.data, $3
           FROM counter, jsonb_to_recordset($1) AS new(i int, stream text, version int, type text, data jsonb)
       )
       SELECT base, pg_notify($4, '') FROM counter`,
      [JSON.stringify(rows), rows.length, at, appendedChannel],
    );
    if (!row) throw new LockstepError("internal", "The event store has no counter");
    return row.base;
  } catch (error) {
    if (isUniqueViolation(error, "events_stream_version"))
      throw conflict("one of several", undefined, undefined, error);
    throw error;
  }
}

function conflict(
  stream: string,
  expected: number | undefined,
  actual: number | undefined,
  cause?: unknown,
): LockstepError {
  return new LockstepError("conflict", "An event stream has another version than expected", {
    details: { stream, expected, actual },
    ...(cause !== undefined && { cause }),
  });
}
