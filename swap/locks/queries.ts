import type { Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { hashlockOf } from "../protocol/hashlock.ts";
import { type LedgerLock, type LockRow, lockOf, lockSelect } from "./rows.ts";

/** True once any lock with this hashlock, or a claim with its secret, was seen on any chain; for ever. */
export async function hashlockSeen(from: Queryable, hashlock: Hex): Promise<boolean> {
  const rows = await from.query("select 1 from lock_hashlocks where hashlock = $1", [hashlock]);
  return rows.length > 0;
}

/** The secret of a hashlock once a claim on any chain has shown it, reorganised out or not. */
export async function publishedSecret(from: Queryable, hashlock: Hex): Promise<Hex | undefined> {
  const [row] = await from.query<{ secret: Hex | null }>("select secret from lock_hashlocks where hashlock = $1", [
    hashlock,
  ]);
  return row?.secret && hashlockOf(row.secret) === hashlock ? row.secret : undefined;
}

/** The locks that were made under an id on a chain, newest first; empty when there is none. */
export async function locksById(from: Queryable, chain: string, lockId: Hex): Promise<LedgerLock[]> {
  const rows = await from.query<LockRow>(
    `${lockSelect} where l.chain = $1 and l.lock_id = $2 order by l.block desc, l.log_index desc`,
    [chain, lockId],
  );
  return rows.map(lockOf);
}

/** Ids of all entries of a batch in their order. */
export async function leavesOf(from: Queryable, chain: string, root: Hex): Promise<Hex[]> {
  const rows = await from.query<{ lock_id: Hex }>(
    `select distinct on (leaf_index) lock_id from lock_ledger where chain = $1 and batch_root = $2 order by leaf_index`,
    [chain, root],
  );
  return rows.map(({ lock_id }) => lock_id);
}

/** Open locks with one of these addresses as sender or recipient that are no leg of a swap here. */
export async function openLocksOf(from: Queryable, addresses: readonly Hex[]): Promise<LedgerLock[]> {
  const rows = await from.query<LockRow>(
    `${lockSelect} where l.end_kind is null and (l.sender = any($1) or l.recipient = any($1))
       and not exists (select 1 from swap_legs s where s.lock_id = l.lock_id and s.chain = l.chain)
     order by l.seq`,
    [addresses],
  );
  return rows.map(lockOf);
}

/** The swap here that a lock is a leg of. */
export async function swapOfLock(from: Queryable, chain: string, lockId: Hex): Promise<string | undefined> {
  const [row] = await from.query<{ swap_id: string }>(
    "select swap_id from swap_legs where lock_id = $1 and chain = $2",
    [lockId, chain],
  );
  return row?.swap_id;
}

export type LockFilter = {
  readonly chain?: string | undefined;
  readonly state?: "open" | "claimed" | "refunded" | undefined;
  /** Whether a watch of the lock goes on. */
  readonly watched?: boolean | undefined;
};

/** A page of locks, newest first, after the cursor (`seq` of the last one). */
export async function listLocks(
  from: Queryable,
  filter: LockFilter,
  before: bigint | undefined,
  limit: number,
): Promise<LedgerLock[]> {
  const params: unknown[] = [limit];
  const given = (value: unknown) => `$${params.push(value)}`;
  const conditions = [
    ...(before === undefined ? [] : [`l.seq < ${given(before)}`]),
    ...(filter.chain === undefined ? [] : [`l.chain = ${given(filter.chain)}`]),
    ...(filter.state === undefined ? [] : [stateSql[filter.state]]),
    ...(filter.watched === undefined ? [] : [`${filter.watched ? "" : "not "}${watchedSql}`]),
  ];
  const where = conditions.length > 0 ? `where ${conditions.join(" and ")}` : "";
  const rows = await from.query<LockRow>(`${lockSelect} ${where} order by l.seq desc limit $1`, params);
  return rows.map(lockOf);
}

const stateSql = {
  open: "l.end_kind is null",
  claimed: "l.end_kind = 'claimed'",
  refunded: "l.end_kind = 'refunded'",
} as const;

const watchedSql = `exists (select 1 from lock_watches w
  where w.chain = l.chain and w.lock_id = l.lock_id and w.due_at is not null)`;
