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
  const wanted = appends.filter(({ events }) => events.length > 0);
  await assertVersions(tx, appends);
  const events = wanted.flatMap(({ stream, expected, events }) =>
    events.map(
      (event, index): NewEvent => ({
        stream,
        version: expected + index + 1,
        type: event.type,
        data: codec.encode(event),
      }),
    ),
  );
  if (events.length === 0) return [];
  const base = await insert(tx, events, at);
  return events.map((event, index) => codec.decode({ ...event, position: base + BigInt(index + 1), at }));
}

/** Several appends to one stream in one call follow each other. */
async function assertVersions(tx: Queryable, appends: readonly Append[]): Promise<void> {
  const rows = await tx.query<{ stream: string; version: number }>(
    `SELECT wanted.stream, last.version
       FROM unnest($1::text[]) AS wanted(stream)
       CROSS JOIN LATERAL (
         SELECT version FROM events WHERE events.stream = wanted.stream ORDER BY version DESC LIMIT 1
       ) AS last`,
    [[...new Set(appends.map(({ stream }) => stream))]],
  );
  const versions = new Map(rows.map(({ stream, version }) => [stream, version]));
  for (const { stream, expected, events } of appends) {
    const actual = versions.get(stream) ?? 0;
    if (actual !== expected) throw conflict(stream, expected, actual);
    versions.set(stream, actual + events.length);
  }
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
