import type { Db, Queryable } from "../db/db.ts";
import { assertIdentifier } from "../db/identifier.ts";
import { type Clock, systemClock } from "../kernel/clock.ts";
import { LockstepError } from "../kernel/errors.ts";
import { gather } from "../kernel/gather.ts";
import type { Log } from "../observe/log.ts";
import { appendEvents, appendedChannel } from "./append.ts";
import { createEventCodec, type EventRow } from "./codec.ts";
import { createKnownEvents } from "./known.ts";
import { applyProjections, rebuildProjection } from "./projections.ts";
import type { AnyEvent, EventSchemas, EventStore, Projection, StoredEvent } from "./store.ts";
import { createWakers } from "./wakers.ts";

const columns = "position, stream, version, type, data, at";

/**
 * How often streams have left the database, and of each stream those after a version. `OFFSET 0` has each looked up: a
 * planner that joins would read all there are.
 */
const followingSql = `
  SELECT counter.archivals, e.* FROM event_counter AS counter LEFT JOIN (
    SELECT found.* FROM unnest($1::text[], $2::integer[]) AS known (stream, version),
      LATERAL (SELECT ${columns} FROM events WHERE stream = known.stream AND version > known.version OFFSET 0) AS found
  ) AS e ON true
   ORDER BY e.stream, e.version`;

/** Streams that are read in one statement. */
const mostStreams = 50;

/**
 * The event store on the tables of `eventMigrations`.
 *
 * Appending holds the place in the global order until the transaction ends, so append last and commit at once.
 * Projections run inside `append`, in the order given here; a projection that throws undoes the append. Unknown types
 * are refused with `event-unknown`, data that does not fit with `event-invalid`, also when they come from the database.
 */
export function createEventStore(deps: {
  db: Db;
  schemas: EventSchemas;
  projections?: readonly Projection[];
  log: Log;
  clock?: Clock;
  /** Streams of small events that are read often: what was read of these is kept in memory. All where it is left out. */
  remembers?: (stream: string) => boolean;
  /** Histories of streams that have left the database; asked outside transactions for those that are not there. */
  archived?: (streams: readonly string[]) => Promise<ReadonlyMap<string, StoredEvent[]>>;
}): EventStore {
  const { db, schemas, projections = [], log, clock = systemClock, remembers = () => true } = deps;
  const { archived = async () => new Map<string, StoredEvent[]>() } = deps;
  const codec = createEventCodec(schemas);
  assertProjections(projections, schemas);
  const wakers = createWakers({ listen: (wake) => db.listen(appendedChannel, wake), log });

  const read = async (from: Queryable, condition: string, params: readonly unknown[]): Promise<StoredEvent[]> => {
    const rows = await from.query<EventRow>(`SELECT ${columns} FROM events WHERE ${condition}`, params);
    return rows.map(codec.decode);
  };

  const known = createKnownEvents();
  /** What the database has of them. */
  const readStored = async (from: Queryable, streams: readonly string[]): Promise<Map<string, StoredEvent[]>> => {
    const wanted = [...new Set(streams)].map((stream) => ({ stream, before: known.of(stream) }));
    const readAt = known.archivals;
    const rows = await from.query<(EventRow | Record<keyof EventRow, null>) & { archivals: bigint }>(followingSql, [
      wanted.map(({ stream }) => stream),
      wanted.map(({ before }) => before.at(-1)?.version ?? 0),
    ]);
    const archivals = rows[0]?.archivals ?? 0n;
    if (archivals > readAt) {
      known.outdate(archivals);
      if (wanted.some(({ before }) => before.length > 0)) return readStored(from, streams);
    }
    const following = Map.groupBy(
      rows.flatMap((row) => (row.position === null ? [] : [codec.decode(row)])),
      ({ stream }) => stream,
    );
    const whole = wanted.map(({ stream, before }): [string, StoredEvent[]] => {
      return [stream, [...before, ...(following.get(stream) ?? [])]];
    });
    // Inside a transaction there may be events that it takes back.
    if (from === db) for (const [stream, events] of whole) if (remembers(stream)) known.keep(stream, events, archivals);
    return new Map(whole.filter(([, events]) => events.length > 0));
  };
  // Under load many ask for one stream each; a statement costs about as much as reading a few streams. The archive is
  // asked by each for itself: nobody waits for a store that hangs who does not need it.
  const readOne = gather<string, StoredEvent[]>(async (streams) => {
    const found = await readStored(db, streams);
    return streams.map((stream) => ({ status: "fulfilled", value: found.get(stream) ?? [] }));
  }, mostStreams);

  return {
    async append(tx, appends) {
      const stored = await appendEvents(tx, codec, appends, new Date(clock.now())).catch((error: unknown) => {
        known.forget(appends.map(({ stream }) => stream));
        throw error;
      });
      if (stored.length === 0) return stored;
      await applyProjections(tx, projections, stored);
      tx.afterCommit(wakers.wake);
      return stored;
    },
    async load<E extends AnyEvent>(from: Queryable, stream: string) {
      const stored = from === db ? await readOne(stream) : (await readStored(from, [stream])).get(stream);
      const events = from !== db || stored?.length ? stored : (await archived([stream])).get(stream);
      return (events ?? []) as StoredEvent<E>[];
    },
    async loadMany<E extends AnyEvent>(from: Queryable, streams: readonly string[]) {
      const stored = await readStored(from, streams);
      const missing = from === db ? [...new Set(streams)].filter((stream) => !stored.has(stream)) : [];
      const found = missing.length === 0 ? stored : new Map([...stored, ...(await archived(missing))]);
      return found as Map<string, StoredEvent<E>[]>;
    },
    async loadAt<E extends AnyEvent>(from: Queryable, positions: readonly bigint[]) {
      if (positions.length === 0) return [];
      const events = await read(from, "position = ANY($1::bigint[]) ORDER BY position", [positions.map(String)]);
      return events as StoredEvent<E>[];
    },
    async loadFirst(from, streams) {
      if (streams.length === 0) return new Map();
      const events = await read(from, "stream = ANY($1) AND version = 1", [[...new Set(streams)]]);
      return new Map(events.map((event) => [event.stream, event]));
    },
    async bounds() {
      const [row] = await db.query<{ first: bigint | null; last: bigint; gone: bigint }>(
        `SELECT position AS last, (
           SELECT position FROM events WHERE position > (SELECT after FROM event_kept) ORDER BY position LIMIT 1
         ) AS first, (SELECT after FROM event_kept) AS gone FROM event_counter`,
      );
      const last = row?.last ?? 0n;
      // Of what left there may be some left: readers that have not seen it all cannot go on there.
      const none = row?.gone ? row.gone + 1n : last;
      return { first: row?.first ?? none, last };
    },
    readAll: (after, limit, except = []) =>
      read(db, "position > $1 AND NOT type = ANY($3) ORDER BY position LIMIT $2", [after, limit, except]),
    onAppended: wakers.add,
    async rebuild(projectionName) {
      const projection = projections.find(({ name }) => name === projectionName);
      if (!projection) throw new LockstepError("not-found", `There is no projection ${projectionName}`);
      const replayed = await db.tx((tx) =>
        rebuildProjection(tx, projection, (after, limit) =>
          read(tx, "position > $1 AND type = ANY($2) ORDER BY position LIMIT $3", [after, projection.handles, limit]),
        ),
      );
      log.info({ projection: projectionName, events: replayed }, "projection rebuilt");
    },
  };
}

function assertProjections(projections: readonly Projection[], schemas: EventSchemas): void {
  for (const { name, handles, tables } of projections) {
    for (const table of tables) assertIdentifier(table);
    const unknown = handles.filter((type) => !Object.hasOwn(schemas, type));
    if (unknown.length > 0) throw new RangeError(`projection ${name} handles unknown events: ${unknown.join(", ")}`);
  }
}
