import type { Queryable } from "../../db/db.ts";

export type ClaimRow = {
  readonly caller: string;
  readonly key: string;
  readonly fingerprint: Buffer;
  readonly seed: string;
  readonly holder: string;
};

export type KeyRow = {
  readonly fingerprint: Buffer;
  readonly seed: string;
  readonly holder: string | null;
  /** Milliseconds that its holder has left. */
  readonly left: number;
  readonly status: number | null;
  readonly answer: Buffer | null;
};

export type AnswerRow = Omit<ClaimRow, "fingerprint" | "holder"> & {
  readonly status: number;
  readonly answer: Buffer;
};

const ofRow = (caller: string, key: string) => `${caller}\n${key}`;

/**
 * Takes keys for runs, each where it is new, expired, or the same request without an answer whose last run is over.
 * Answers how each stands now. Different keys only; in one order, so that no two statements wait for each other.
 */
export async function claimKeys(
  db: Queryable,
  rows: readonly ClaimRow[],
  { leaseMs, keptMs }: { leaseMs: number; keptMs: number },
): Promise<(KeyRow | undefined)[]> {
  const free = `coalesce(k.leased_until <= now(), true)
    AND (k.expires_at <= now() OR (k.fingerprint = excluded.fingerprint AND k.status IS NULL))`;
  const fresh = `${free} AND k.expires_at <= now()`;
  const when = (condition: string, column: string, other = `excluded.${column}`) =>
    `${column} = CASE WHEN ${condition} THEN ${other} ELSE k.${column} END`;
  const found = await db.query<KeyRow & { caller: string; key: string }>(
    `INSERT INTO idempotency_keys AS k (caller, key, fingerprint, seed, holder, leased_until, expires_at)
     SELECT caller, key, fingerprint, seed, holder,
            now() + $6::int * interval '1 ms', now() + $7::int * interval '1 ms'
     FROM unnest($1::text[], $2::text[], $3::bytea[], $4::uuid[], $5::uuid[])
       AS t (caller, key, fingerprint, seed, holder)
     ORDER BY caller, key
     ON CONFLICT (caller, key) DO UPDATE SET
       ${when(fresh, "fingerprint")}, ${when(fresh, "seed")}, ${when(fresh, "status", "NULL")},
       ${when(fresh, "answer", "NULL")}, ${when(free, "holder")}, ${when(free, "leased_until")},
       ${when(free, "expires_at")}
     RETURNING caller, key, fingerprint, seed, holder, status, answer,
       coalesce(extract(epoch FROM leased_until - now()) * 1000, 0)::float8 AS left`,
    [
      ...[rows.map(({ caller }) => caller), rows.map(({ key }) => key)],
      ...[rows.map(({ fingerprint }) => fingerprint), rows.map(({ seed }) => seed)],
      ...[rows.map(({ holder }) => holder), leaseMs, keptMs],
    ],
  );
  const byKey = new Map(found.map((row) => [ofRow(row.caller, row.key), row]));
  return rows.map(({ caller, key }) => byKey.get(ofRow(caller, key)));
}

/** Keeps answers, each where none was kept before. Answers what is kept now; undefined where the key is gone. */
export async function keepAnswers(
  db: Queryable,
  rows: readonly AnswerRow[],
): Promise<({ status: number; answer: Buffer } | undefined)[]> {
  const kept = await db.query<{ caller: string; key: string; status: number; answer: Buffer }>(
    `UPDATE idempotency_keys k
     SET status = coalesce(k.status, t.status), answer = coalesce(k.answer, t.answer),
         holder = NULL, leased_until = NULL
     FROM unnest($1::text[], $2::text[], $3::uuid[], $4::smallint[], $5::bytea[]) AS t (caller, key, seed, status, answer)
     WHERE k.caller = t.caller AND k.key = t.key AND k.seed = t.seed
     RETURNING k.caller, k.key, k.status, k.answer`,
    [
      ...[rows.map(({ caller }) => caller), rows.map(({ key }) => key), rows.map(({ seed }) => seed)],
      ...[rows.map(({ status }) => status), rows.map(({ answer }) => answer)],
    ],
  );
  const byKey = new Map(kept.map((row) => [ofRow(row.caller, row.key), row]));
  return rows.map(({ caller, key }) => byKey.get(ofRow(caller, key)));
}

/** Lets go of a key without an answer; `forget`: as if it had never been used. */
export async function releaseKey(db: Queryable, holder: string, forget: boolean): Promise<void> {
  const statement = forget
    ? "DELETE FROM idempotency_keys WHERE holder = $1"
    : "UPDATE idempotency_keys SET holder = NULL, leased_until = NULL WHERE holder = $1";
  await db.query(statement, [holder]);
}

export async function renewLeases(db: Queryable, holders: readonly string[], leaseMs: number): Promise<void> {
  await db.query(
    "UPDATE idempotency_keys SET leased_until = now() + $2::int * interval '1 ms' WHERE holder = ANY($1::uuid[])",
    [holders, leaseMs],
  );
}

/** Deletes keys whose time is over, and that nobody holds; true when there may be more. */
export async function sweepKeys(db: Queryable, limit: number): Promise<boolean> {
  const swept = await db.query(
    `DELETE FROM idempotency_keys WHERE (caller, key) IN (
       SELECT caller, key FROM idempotency_keys
       WHERE expires_at <= now() AND coalesce(leased_until <= now(), true) LIMIT $1)
     RETURNING 1 AS one`,
    [limit],
  );
  return swept.length === limit;
}
