import { randomBytes } from "node:crypto";
import type { Queryable, Tx } from "../db/db.ts";
import { assertIdentifier } from "../db/identifier.ts";
import type { PostgresDb } from "../db/postgres.ts";
import { inSnapshot } from "../db/snapshot.ts";
import { LockstepError } from "../kernel/errors.ts";
import { createEventCodec, type EventRow } from "./codec.ts";
import type { EventSchemas, Projection } from "./store.ts";

const page = 1_000;

/** Up to when events are replayed: a position, or a time; all where neither is given. */
export type Until = { readonly position?: bigint | undefined; readonly at?: Date | undefined };

/** Read models as the events make them, for as long as they are looked at. */
export type Replayed = {
  /** How many events were replayed, and where the last of them is. */
  readonly events: number;
  readonly last: bigint;
  /** For reading: the replayed tables stand in front of the live ones of the same names. */
  readonly from: Queryable;
  /** Rows that the live read models have otherwise. */
  compare(most: number): Promise<Difference[]>;
};

/** A row that is not as its events make it. `live` or `replayed` is absent where there is no such row. */
export type Difference = {
  readonly table: string;
  readonly key: string;
  readonly live?: Readonly<Record<string, unknown>>;
  readonly replayed?: Readonly<Record<string, unknown>>;
};

/**
 * Replays the events of one moment into tables of their own, lets `work` look at them, and takes them away. Live tables are
 * read and never written. Throws `event-unknown` or `event-invalid`, and `event-position-gone` for a time of which some
 * events have left the database.
 */
export async function replay<T>(
  deps: { db: PostgresDb; schemas: EventSchemas; projections: readonly Projection[] },
  until: Until,
  work: (replayed: Replayed) => Promise<T>,
): Promise<T> {
  const { db, projections } = deps;
  const { schema } = db;
  return inSnapshot(db, "READ WRITE", [`${schema}.events`], async (from) => {
    await assertKept(from, until);
    const scratch = assertIdentifier(`replay_${randomBytes(6).toString("hex")}`);
    await from.query(`CREATE SCHEMA ${scratch}`);
    const tables = projections.flatMap((projection) => projection.tables.map(assertIdentifier));
    for (const table of tables)
      await from.query(`CREATE TABLE ${scratch}.${table} (LIKE ${schema}.${table} INCLUDING ALL)`);
    await from.query(`SET LOCAL search_path = ${scratch}, ${schema}`);
    const tx: Tx = { ...from, kind: "tx", afterCommit: () => undefined };
    const done = await apply(tx, deps, until);
    return work({
      ...done,
      from,
      async compare(most) {
        const found: Difference[] = [];
        for (const projection of projections) {
          for (const table of projection.tables) {
            const left = most - found.length;
            const besides = projection.besides?.[table] ?? [];
            if (left > 0) found.push(...(await compareTable(from, { schema, scratch, table, besides }, left)));
          }
        }
        return found;
      },
    });
  });
}

/** What is there of a time that others have left would look as if these had never been. */
async function assertKept(from: Queryable, { position, at }: Until): Promise<void> {
  const [kept] = await from.query<{ after: bigint; since: Date | null }>(
    `SELECT after, (SELECT at FROM events WHERE position > after ORDER BY position LIMIT 1) AS since
       FROM event_kept WHERE after > 0`,
  );
  if (!kept) return;
  const isEarlier = at !== undefined && (kept.since === null || at < kept.since);
  if (!isEarlier && (position === undefined || position > kept.after)) return;
  throw new LockstepError(
    "event-position-gone",
    `until: events up to position ${kept.after} have left for the archive; a backup of that time has them`,
    { details: { field: "until", after: kept.after } },
  );
}

async function apply(
  tx: Tx,
  deps: { db: PostgresDb; schemas: EventSchemas; projections: readonly Projection[] },
  { position, at }: Until,
): Promise<{ events: number; last: bigint }> {
  const codec = createEventCodec(deps.schemas);
  let last = 0n;
  let events = 0;
  for (;;) {
    const rows = await tx.query<EventRow>(
      `SELECT position, stream, version, type, data, at FROM ${deps.db.schema}.events
       WHERE position > $1 AND ($2::bigint IS NULL OR position <= $2) AND ($3::timestamptz IS NULL OR at <= $3)
       ORDER BY position LIMIT $4`,
      [last, position ?? null, at ?? null, page],
    );
    const found = rows.map(codec.decode);
    for (const projection of deps.projections) {
      const handled = found.filter(({ type }) => projection.handles.includes(type));
      if (handled.length > 0) await projection.apply(tx, handled);
    }
    events += found.length;
    last = found.at(-1)?.position ?? last;
    if (found.length < page) return { events, last };
  }
}

async function compareTable(
  from: Queryable,
  { schema, scratch, table, besides }: { schema: string; scratch: string; table: string; besides: readonly string[] },
  most: number,
): Promise<Difference[]> {
  const keys = await from.query<{ name: string }>(
    `SELECT a.attname AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
     WHERE i.indrelid = $1::regclass AND i.indisprimary ORDER BY a.attname`,
    [`${schema}.${table}`],
  );
  const same = keys.map(({ name }) => `l.${name} = r.${name}`).join(" AND ");
  const key = keys.map(({ name }) => `coalesce(l.${name}, r.${name})::text`).join(" || ' ' || ");
  const rows = await from.query<{ key: string; live: Difference["live"] | null; replayed: Difference["live"] | null }>(
    `SELECT ${key} AS key, to_jsonb(l) AS live, to_jsonb(r) AS replayed
     FROM ${schema}.${table} l FULL JOIN ${scratch}.${table} r ON ${same}
     WHERE (to_jsonb(l) - $1::text[]) IS DISTINCT FROM (to_jsonb(r) - $1::text[]) ORDER BY 1 LIMIT $2`,
    [besides, most],
  );
  return rows.map((row) => ({
    ...{ table, key: row.key },
    ...differing(row.live ?? undefined, row.replayed ?? undefined, besides),
  }));
}

/** Only what differs of a row that both have. */
function differing(live: Difference["live"], replayed: Difference["live"], besides: readonly string[]) {
  if (!live || !replayed) return { ...(live && { live }), ...(replayed && { replayed }) };
  const names = Object.keys(live).filter(
    (name) => !besides.includes(name) && JSON.stringify(live[name]) !== JSON.stringify(replayed[name]),
  );
  const of = (row: Readonly<Record<string, unknown>>) => Object.fromEntries(names.map((name) => [name, row[name]]));
  return { live: of(live), replayed: of(replayed) };
}
