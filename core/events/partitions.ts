import type { Db, Queryable, Tx } from "../db/db.ts";
import { isLockTimeout } from "../db/failures.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../observe/log.ts";
import { partitionOf, partitionSpan } from "./partitionOf.ts";

/** One partition of the events. What is left of older ones is carried over into the first. */
type Partition = {
  readonly place: bigint;
  readonly openedAt: Date;
  /** Undefined while it is written to, and of one that is opened ahead. */
  readonly closedAt: Date | undefined;
};

/** The events are partitioned by position, and a partition is a span of time. */
export type Partitions = {
  /** Opens the next partition ahead, and begins to write to it when the present one is old enough. */
  keepUp(): Promise<void>;
  /** Joins closed partitions with few events left to the first, and frees their space; as long as nobody is in the way. */
  carryOver(): Promise<number>;
  list(): Promise<readonly Partition[]>;
};

/** Events of one partition that are carried over at most while all others wait. */
const mostCarried = 5_000;
const lockTimeout = "1s";

export function createPartitions(deps: {
  db: Db;
  clock: Clock;
  log: Log;
  /** How long one is written to, in milliseconds. */
  stepMs: number;
}): Partitions {
  const { db, clock, log, stepMs } = deps;

  const list = async (): Promise<Partition[]> => {
    const rows = await db.query<{ place: bigint; openedAt: Date; closedAt: Date | null }>(
      `SELECT place, opened_at AS "openedAt", closed_at AS "closedAt" FROM event_partitions ORDER BY place`,
    );
    return rows.map(({ closedAt, ...row }) => ({ ...row, closedAt: closedAt ?? undefined }));
  };

  /** The place of one that has so few events left that they are carried over; undefined where there is none. */
  async function nearlyEmpty(): Promise<bigint | undefined> {
    const next = (await list()).find(({ place }) => place > 0n);
    if (next?.closedAt === undefined) return undefined;
    const [row] = await db.query<{ count: bigint }>(
      `SELECT count(*) AS count FROM (
         SELECT 1 FROM events WHERE position >= $1 AND position < $2 LIMIT $3) AS left_over`,
      [partitionSpan * next.place, partitionSpan * (next.place + 1n), mostCarried + 1],
    );
    return (row?.count ?? 0n) <= mostCarried ? next.place : undefined;
  }

  /** False where others had the events for too long; then it is tried another time. */
  async function unlessBusy(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      log.info({}, "the events are too busy to change their partitions now");
      return false;
    }
  }

  return {
    list,
    async keepUp() {
      const now = new Date(clock.now());
      const place = await db.tx((tx) => openAhead(tx, now));
      if (!(await isOver(db, place, new Date(now.getTime() - stepMs)))) return;
      await unlessBusy(() => db.tx((tx) => turn(tx, place, now)));
      await db.tx((tx) => openAhead(tx, now));
    },
    async carryOver() {
      let carried = 0;
      for (;;) {
        const place = await nearlyEmpty();
        if (place === undefined) return carried;
        if (!(await unlessBusy(() => boundFirst(db, place)))) return carried;
        if (!(await unlessBusy(() => db.tx((tx) => join(tx, place))))) return carried;
        carried += 1;
      }
    },
  };
}

/** One process at a time changes what partitions there are. */
const lockPartitions = (tx: Tx) =>
  tx.query("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.event_partitions', 0))");

/** Sees to it that the present partition has another one after it; answers the present one. */
async function openAhead(tx: Tx, at: Date): Promise<bigint> {
  await lockPartitions(tx);
  const [row] = await tx.query<{ position: bigint }>("SELECT position FROM event_counter");
  const place = partitionOf((row?.position ?? 0n) + 1n);
  await open(tx, place, at);
  await open(tx, place + 1n, at);
  return place;
}

/** Attaching waits for nobody who reads or writes, and lets nobody wait. */
async function open(tx: Tx, place: bigint, at: Date): Promise<void> {
  const added = await tx.query(
    "INSERT INTO event_partitions (place, opened_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING place",
    [place, at],
  );
  if (added.length > 0) await make(tx, place);
}

async function make(tx: Tx, place: bigint): Promise<void> {
  await create(tx, `events_${place}`);
  const [from, to] = [partitionSpan * place, partitionSpan * (place + 1n)];
  await tx.query(`ALTER TABLE events ATTACH PARTITION events_${place} FOR VALUES FROM (${from}) TO (${to})`);
}

/** Makes the partitions that are listed, of a table that has the first one alone: all of the first go before the next. */
export async function makeListedPartitions(tx: Tx): Promise<void> {
  const rows = await tx.query<{ place: bigint }>("SELECT place FROM event_partitions WHERE place > 0 ORDER BY place");
  const [next] = rows;
  if (next && next.place > 1n) {
    await tx.query("ALTER TABLE events DETACH PARTITION events_0");
    await tx.query(
      `ALTER TABLE events ATTACH PARTITION events_0 FOR VALUES FROM (MINVALUE) TO (${partitionSpan * next.place})`,
    );
  }
  for (const { place } of rows) await make(tx, place);
}

/** Partitions that a lost database cannot have opened since its backup: with one in 30 days, in over eighty years. */
const partitionsApart = 1_024n;

/**
 * Has new events begin in a partition far after that of `position`, and answers after which position. What was written to
 * in between, by a database that is lost, is given out to nobody.
 */
export async function resumeApart(tx: Tx, position: bigint, at: Date): Promise<bigint> {
  const place = partitionOf(position) + partitionsApart;
  await tx.query("UPDATE event_partitions SET closed_at = coalesce(closed_at, $1)", [at]);
  await open(tx, place, at);
  await open(tx, place + 1n, at);
  const after = partitionSpan * place;
  await tx.query("UPDATE event_counter SET position = $1", [after]);
  return after;
}

async function create(tx: Tx, name: string): Promise<void> {
  await tx.query(`CREATE TABLE ${name} (LIKE events INCLUDING CONSTRAINTS)`);
  await tx.query(
    `ALTER TABLE ${name} ADD CONSTRAINT ${name}_pkey PRIMARY KEY (position),
       ADD CONSTRAINT ${name}_stream_version UNIQUE (stream, version)`,
  );
}

/** One without events goes on however old it is. */
async function isOver(from: Queryable, place: bigint, before: Date): Promise<boolean> {
  const rows = await from.query(
    `SELECT 1 FROM event_partitions WHERE place = $1 AND closed_at IS NULL AND opened_at <= $2
        AND (SELECT position FROM events WHERE position >= $3 AND position < $4 ORDER BY position LIMIT 1) IS NOT NULL`,
    [place, before, partitionSpan * place, partitionSpan * (place + 1n)],
  );
  return rows.length > 0;
}

/**
 * The next position is the first of the next partition. Whoever appends has ended before, or begins after it: an append
 * that began earlier may know of no such partition yet.
 */
async function turn(tx: Tx, place: bigint, at: Date): Promise<void> {
  await lockPartitions(tx);
  await tx.query(`SET LOCAL lock_timeout = '${lockTimeout}'`);
  await tx.query("LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE");
  await tx.query("UPDATE event_partitions SET closed_at = $2 WHERE place = $1", [place, at]);
  await tx.query("UPDATE event_partitions SET opened_at = $2 WHERE place = $1", [place + 1n, at]);
  await tx.query("UPDATE event_counter SET position = greatest(position, $1)", [partitionSpan * (place + 1n) - 1n]);
}

const firstBound = "events_0_bound";

/**
 * Has the first partition proven, while others read and write, to end where it will: attaching it would look at all of its
 * rows otherwise, and everybody would wait for that.
 */
async function boundFirst(db: Db, place: bigint): Promise<void> {
  await db.tx(async (tx) => {
    await lockPartitions(tx);
    await tx.query(`SET LOCAL lock_timeout = '${lockTimeout}'`);
    await tx.query(`ALTER TABLE events_0 DROP CONSTRAINT IF EXISTS ${firstBound},
      ADD CONSTRAINT ${firstBound} CHECK (position < ${endOf(place)}) NOT VALID`);
  });
  await db.tx(async (tx) => void (await tx.query(`ALTER TABLE events_0 VALIDATE CONSTRAINT ${firstBound}`)));
}

const endOf = (place: bigint): bigint => partitionSpan * (place + 1n);

/** All that is left of a partition goes to the first one. Nobody else reads or writes meanwhile. */
async function join(tx: Tx, place: bigint): Promise<void> {
  await lockPartitions(tx);
  await tx.query(`SET LOCAL lock_timeout = '${lockTimeout}'`);
  await tx.query("LOCK TABLE events IN ACCESS EXCLUSIVE MODE");
  for (const old of ["events_0", `events_${place}`]) await tx.query(`ALTER TABLE events DETACH PARTITION ${old}`);
  await tx.query(`INSERT INTO events_0 SELECT * FROM events_${place}`);
  await tx.query(`DROP TABLE events_${place}`);
  await tx.query(`ALTER TABLE events ATTACH PARTITION events_0 FOR VALUES FROM (MINVALUE) TO (${endOf(place)})`);
  await tx.query(`ALTER TABLE events_0 DROP CONSTRAINT IF EXISTS ${firstBound}`);
  await tx.query(
    `UPDATE event_partitions SET closed_at = (SELECT closed_at FROM event_partitions WHERE place = $1) WHERE place = 0`,
    [place],
  );
  await tx.query("DELETE FROM event_partitions WHERE place = $1", [place]);
}
