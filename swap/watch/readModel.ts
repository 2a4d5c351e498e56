import type { Queryable, Tx } from "#core/db/db.ts";
import type { Projection, StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type WatchEvent, watchEvents } from "./events.ts";

/** The state of a watch that a decision was made on. */
export type Looked = { readonly id: string; readonly version: number; readonly touches: number };

/** When watches are looked at. */
export type WatchIndex = {
  /** Undefined for a watch that is unknown. Read before everything that is decided on. */
  look(id: string): Promise<Looked | undefined>;
  /** When the scheduler looks next. Says nothing when something happened since `look`: that decides. */
  schedule(looked: Looked, at: Date): Promise<void>;
  /** Puts off a watch that could not be looked at. */
  postpone(id: string, at: Date): Promise<void>;
  /** Watches whose time has come, the most overdue first. */
  due(now: Date, limit: number, except?: readonly string[]): Promise<string[]>;
};

export function createWatchIndex(db: Queryable): WatchIndex {
  return {
    async look(id) {
      const [row] = await db.query<Looked>("select id, version, touches from lock_watches where id = $1", [id]);
      return row;
    },
    async schedule({ id, version, touches }, at) {
      await db.query(
        `update lock_watches set due_at = $4 where id = $1 and version = $2 and touches = $3 and due_at is not null`,
        [id, version, touches, at],
      );
    },
    async postpone(id, at) {
      await db.query("update lock_watches set due_at = $2 where id = $1 and due_at is not null", [id, at]);
    },
    async due(now, limit, except = []) {
      const sql = "select id from lock_watches where due_at <= $1 and not id = any($3) order by due_at limit $2";
      const rows = await db.query<{ id: string }>(sql, [now, limit, except]);
      return rows.map(({ id }) => id);
    },
  };
}

/** Has watches looked at again because a chain showed something of their locks or hashlocks. */
export async function touchWatches(
  tx: Tx,
  chain: string,
  shown: { readonly lockIds: readonly Hex[]; readonly hashlocks: readonly Hex[] },
  now: Date,
): Promise<void> {
  await tx.query(
    `update lock_watches set due_at = $4, touches = touches + 1 where due_at is not null
       and ((chain = $1 and lock_id = any($2)) or hashlock = any($3))`,
    [chain, shown.lockIds, shown.hashlocks, now],
  );
}

/** As `touchWatches`, for all of a chain. */
export async function touchChain(tx: Tx, chain: string, now: Date): Promise<void> {
  await tx.query("update lock_watches set due_at = $2, touches = touches + 1 where due_at is not null and chain = $1", [
    chain,
    now,
  ]);
}

/** Watches of a chain that have ended, for which the ledger has no end any more. */
export async function endlessWatches(from: Queryable, chain: string): Promise<string[]> {
  const rows = await from.query<{ id: string }>(
    `select id from lock_watches w where chain = $1 and due_at is null and not exists (
       select 1 from lock_ledger l where l.chain = w.chain and l.lock_id = w.lock_id and l.end_kind is not null)`,
    [chain],
  );
  return rows.map(({ id }) => id);
}

/**
 * How many locks of strangers are watched. Makes whoever else asks in a transaction wait until this one ends, so that two
 * requests cannot take the same last place.
 */
export async function countCapped(tx: Tx): Promise<number> {
  await tx.query("select pg_advisory_xact_lock(hashtextextended('lockstep watched locks', 0))");
  const [row] = await tx.query<{ count: number }>(
    "select count(*)::integer as count from lock_watches where account is null and due_at is not null",
  );
  return row?.count ?? 0;
}

type RecoveredLock = { chain: string; lockId: Hex; account: string; refunds: boolean };

/** Locks that are watched for the managed account they concern, and have not ended. */
export async function recoveredLocks(from: Queryable): Promise<RecoveredLock[]> {
  return from.query<RecoveredLock>(
    `select chain, lock_id as "lockId", account, refunds from lock_watches
      where account is not null and due_at is not null order by id`,
  );
}

/** Watches of a chain that go on. */
export async function countWatches(from: Queryable, chain: string): Promise<number> {
  const [row] = await from.query<{ count: number }>(
    "select count(*)::integer as count from lock_watches where chain = $1 and due_at is not null",
    [chain],
  );
  return row?.count ?? 0;
}

/** A watch that just changed is looked at by its job; this is when the scheduler looks, should the job be lost. */
const lostJobSeconds = 2;

export const watchProjection: Projection = {
  name: "lock-watches",
  handles: Object.keys(watchEvents),
  tables: ["lock_watches"],
  besides: { lock_watches: ["due_at", "touches"] },
  async apply(tx, events) {
    for (const event of events as readonly StoredEvent<WatchEvent>[]) await applyOne(tx, event);
  },
};

async function applyOne(tx: Tx, event: StoredEvent<WatchEvent>): Promise<void> {
  const id = event.stream.slice("watch-".length);
  const due = new Date(event.at.getTime() + lostJobSeconds * 1000);
  if (event.type === "LockWatched") {
    const { chain, lockId, hashlock, account, refunds } = event.data;
    await tx.query(
      `insert into lock_watches (id, chain, lock_id, hashlock, version, account, refunds, due_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8)
       on conflict (id) do update set version = excluded.version, account = excluded.account,
         refunds = excluded.refunds, due_at = excluded.due_at`,
      [id, chain, lockId, hashlock, event.version, account ?? null, refunds, due],
    );
    return;
  }
  const next = event.type === "WatchEnded" ? null : due;
  await tx.query("update lock_watches set version = $2, due_at = $3 where id = $1", [id, event.version, next]);
}
