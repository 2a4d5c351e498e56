import type { Queryable, Tx } from "../db/db.ts";
import { isUniqueViolation } from "../db/failures.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { EventCodec, EventRow } from "./codec.ts";
import { partitionOf } from "./partitionOf.ts";
import type { Append, StoredEvent } from "./store.ts";

/** Everybody who waits for events listens here. */
export const appendedChannel = "lockstep_events";

type NewEvent = Pick<EventRow, "stream" | "version" | "type" | "data">;

/**
 * Checks the expected versions and writes the events, in one statement whatever their number (in two where a stream is
 * appended to whatever its version). It takes the row of the counter, and with it the place of this transaction in the
 * global order, until the end of the transaction: positions become visible in the order in which they were given.
 */
export async function appendEvents(
  tx: Tx,
  codec: EventCodec,
  appends: readonly Append[],
  at: Date,
): Promise<StoredEvent[]> {
  const known = appends.some(({ expected }) => expected === "any") ? await versionsOf(tx, appends) : undefined;
  const placed = placesOf(appends, known);
  const given = placed.flatMap(({ stream, before, events }) =>
    events.map((event, index) => ({ stream, version: before + index + 1, event })),
  );
  if (given.length === 0) return [];
  const rows = given.map(
    ({ event, ...place }): NewEvent => ({ ...place, type: event.type, data: codec.encode(event) }),
  );
  const base = await insert(tx, rows, at);
  if (base === undefined) {
    placesOf(appends, await versionsOf(tx, appends));
    throw conflict("one of several", undefined, undefined);
  }
  return given.map(({ stream, version, event: { type, data } }, index) => {
    return { position: base + BigInt(index + 1), stream, version, type, data, at };
  });
}

type Placed = { readonly stream: string; readonly before: number; readonly events: Append["events"] };

/** The versions that streams have now; those without events are absent. */
async function versionsOf(tx: Queryable, appends: readonly Append[]): Promise<ReadonlyMap<string, number>> {
  const rows = await tx.query<{ stream: string; version: number }>(
    `SELECT wanted.stream, last.version
       FROM unnest($1::text[]) AS wanted(stream)
       CROSS JOIN LATERAL (
         SELECT version FROM events WHERE events.stream = wanted.stream ORDER BY version DESC LIMIT 1
       ) AS last`,
    [[...new Set(appends.map(({ stream }) => stream))]],
  );
  return new Map(rows.map(({ stream, version }) => [stream, version]));
}

/**
 * The version before each append; several to one stream in one call follow each other. `known`: versions of the streams;
 * without, those that are expected, for the statement that writes to check.
 */
function placesOf(appends: readonly Append[], known: ReadonlyMap<string, number> | undefined): Placed[] {
  const versions = new Map(known);
  return appends.map(({ stream, expected, events }) => {
    const assumed = known === undefined && expected !== "any" ? expected : 0;
    const before = versions.get(stream) ?? assumed;
    if (expected !== "any" && before !== expected) throw conflict(stream, expected, before);
    versions.set(stream, before + events.length);
    return { stream, before, events };
  });
}

/** The position before the first of the new events; undefined when a stream is not where its first one belongs. */
async function insert(tx: Queryable, events: readonly NewEvent[], at: Date): Promise<bigint | undefined> {
  const rows = events.map(({ stream, version, type, data }, index) => ({ i: index + 1, stream, version, type, data }));
  try {
    const [row] = await tx.query<Written>(
      `WITH new AS MATERIALIZED (
         SELECT * FROM jsonb_to_recordset($1) AS new(i int, stream text, version int, type text, data jsonb)
       ), before AS MATERIALIZED (
         SELECT position AS seen, archivals AS known FROM event_counter
       ), misplaced AS MATERIALIZED (
         SELECT 1 FROM (SELECT stream, min(version) AS version FROM new GROUP BY stream) AS first
           LEFT JOIN LATERAL (
             SELECT version FROM events WHERE events.stream = first.stream ORDER BY version DESC LIMIT 1
           ) AS last ON true
           LEFT JOIN LATERAL (
             SELECT true AS archived FROM event_archive WHERE event_archive.stream = first.stream OFFSET 0
           ) AS gone ON first.version = 1
          WHERE first.version <> coalesce(last.version, 0) + 1 OR gone.archived
       ), counter AS (
         UPDATE event_counter SET position = position + $2 WHERE NOT EXISTS (SELECT 1 FROM misplaced)
         RETURNING position - $2 AS base, archivals
       ), inserted AS (
         INSERT INTO events (position, stream, version, type, data, at)
         SELECT counter.base + new.i, new.stream, new.version, new.type, new.data, $3 FROM counter, new
       )
       SELECT base, seen, archivals <> known AS moved, pg_notify($4, '') FROM counter, before`,
      [JSON.stringify(rows), rows.length, at, appendedChannel],
    );
    if (row && !isUnderOneIndex(row, rows.length)) await assertFirstVersions(tx, events, row.base);
    return row?.base;
  } catch (error) {
    if (isTakenVersion(error)) throw conflict("one of several", undefined, undefined, error);
    throw error;
  }
}

/** Position before the new events; the one up to which versions were looked at; whether streams have left since then. */
type Written = { base: bigint; seen: bigint; moved: boolean };

/**
 * Whatever was committed after the versions were looked at and before the counter was taken is in the same partition as
 * the new events, so that its unique index has refused a second event of a version.
 */
const isUnderOneIndex = ({ base, seen, moved }: Written, count: number): boolean =>
  !moved && (seen === base || partitionOf(seen + 1n) === partitionOf(base + BigInt(count)));

/** Looks at the versions again, now that nobody can commit before this transaction; fails it where one does not fit. */
async function assertFirstVersions(tx: Queryable, events: readonly NewEvent[], base: bigint): Promise<void> {
  const firsts = new Map<string, number>();
  for (const { stream, version } of events) if (!firsts.has(stream)) firsts.set(stream, version);
  await tx.query("SELECT assert_first_versions($1::text[], $2::integer[], $3)", [
    [...firsts.keys()],
    [...firsts.values()],
    base,
  ]);
}

const isTakenVersion = (error: unknown): boolean => isUniqueViolation(error, /^events_(\d+_)?stream_version$/);

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
