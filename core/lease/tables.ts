import type { Migration, Queryable } from "../db/db.ts";

/** Who holds what, who held it before, and which processes there are. Times are those of the database. */
export const leaseMigrations: readonly Migration[] = [
  {
    id: "lease/001-create",
    sql: `
      CREATE TABLE leases (
        name text PRIMARY KEY,
        -- NULL once it was given up.
        holder text,
        -- Rises with every holder: what carries a lower one was written by somebody who has lost it.
        term bigint NOT NULL,
        since timestamptz NOT NULL,
        until timestamptz NOT NULL
      );
      CREATE TABLE lease_terms (
        name text NOT NULL,
        term bigint NOT NULL,
        holder text NOT NULL,
        begun_at timestamptz NOT NULL,
        PRIMARY KEY (name, term)
      );
      CREATE INDEX lease_terms_begun ON lease_terms (begun_at);`,
  },
];

/** Keepers of every process hear here that a lease was given up. */
export const leasesChannel = "lockstep_leases";

/** One hold of a lease: no two ever have the same term. */
export type Fence = { readonly name: string; readonly term: bigint };

export type LeaseRow = Fence & {
  /** Undefined when it was given up, or has run out. */
  readonly holder: string | undefined;
  readonly since: Date;
  readonly until: Date;
  /** Milliseconds since it ran out or was given up; negative while it lasts. */
  readonly freeMs: number;
};

/**
 * Takes those of the leases that nobody has: given up, run out, or new. One whose last holder has a transaction open is
 * passed over, since that may still commit.
 */
export async function takeLeases(
  to: Queryable,
  wanted: { names: readonly string[]; holder: string; ms: number },
): Promise<Fence[]> {
  return to.query<Fence>(
    `WITH wanted AS (SELECT unnest($1::text[]) AS name),
     free AS (
       SELECT l.name FROM leases l JOIN wanted USING (name)
       WHERE l.holder IS NULL OR l.until <= clock_timestamp()
       FOR UPDATE OF l SKIP LOCKED),
     moved AS (
       UPDATE leases l SET holder = $2, term = l.term + 1, since = clock_timestamp(),
                           until = clock_timestamp() + $3 * interval '1 millisecond'
       FROM free WHERE l.name = free.name RETURNING l.name, l.term),
     made AS (
       INSERT INTO leases (name, holder, term, since, until)
       SELECT name, $2, 1, clock_timestamp(), clock_timestamp() + $3 * interval '1 millisecond'
       FROM wanted w WHERE NOT EXISTS (SELECT FROM leases l WHERE l.name = w.name)
       ON CONFLICT DO NOTHING RETURNING name, term),
     taken AS (SELECT * FROM moved UNION ALL SELECT * FROM made),
     noted AS (
       INSERT INTO lease_terms (name, term, holder, begun_at) SELECT name, term, $2, clock_timestamp() FROM taken)
     SELECT name, term FROM taken`,
    [wanted.names, wanted.holder, wanted.ms],
  );
}

/** Holds on to leases, also to one that has run out while nobody took it. Answers the names of those still held. */
export async function renewLeases(
  to: Queryable,
  held: { fences: readonly Fence[]; holder: string; ms: number },
): Promise<string[]> {
  const rows = await to.query<{ name: string }>(
    `UPDATE leases l SET until = clock_timestamp() + $4 * interval '1 millisecond'
     FROM unnest($1::text[], $2::bigint[]) AS h (name, term)
     WHERE l.name = h.name AND l.term = h.term AND l.holder = $3 RETURNING l.name`,
    [held.fences.map(({ name }) => name), held.fences.map(({ term }) => term), held.holder, held.ms],
  );
  return rows.map(({ name }) => name);
}

/** Gives one up, and tells the others. Nothing happens when it is somebody else's by now. */
export async function giveUpLease(to: Queryable, { name, term }: Fence, holder: string): Promise<void> {
  await to.query(
    `WITH given AS (
       UPDATE leases SET holder = NULL, until = clock_timestamp()
       WHERE name = $1 AND term = $2 AND holder = $3 RETURNING name)
     SELECT pg_notify($4, name) FROM given`,
    [name, term, holder, leasesChannel],
  );
}

/** Frees whatever others hold, for who knows that there are none: the embedded database has one process. */
export async function freeLeasesOfOthers(to: Queryable, holder: string): Promise<void> {
  await to.query("UPDATE leases SET holder = NULL, until = clock_timestamp() WHERE holder <> $1", [holder]);
}

/**
 * True when the lease is still of this term; then it stays so until the transaction ends. Taking a lease waits for that,
 * and renewing it does not.
 */
export async function holdsLease(tx: Queryable, { name, term }: Fence): Promise<boolean> {
  const found = await tx.query(
    "SELECT FROM leases WHERE name = $1 AND term = $2 AND holder IS NOT NULL FOR KEY SHARE",
    [name, term],
  );
  return found.length > 0;
}

export async function listLeases(from: Queryable): Promise<LeaseRow[]> {
  const rows = await from.query<Omit<LeaseRow, "holder"> & { holder: string | null }>(
    `SELECT name, term, since, until, CASE WHEN until > clock_timestamp() THEN holder END AS holder,
            (extract(epoch FROM clock_timestamp() - until) * 1000)::float8 AS "freeMs"
     FROM leases ORDER BY name`,
  );
  return rows.map((row) => ({ ...row, holder: row.holder ?? undefined }));
}

/** Who held what from when on, the newest first. */
export async function listTerms(from: Queryable, name: string, limit: number) {
  return from.query<{ term: bigint; holder: string; begun_at: Date }>(
    "SELECT term, holder, begun_at FROM lease_terms WHERE name = $1 ORDER BY term DESC LIMIT $2",
    [name, limit],
  );
}

/** Forgets terms that began longer ago than `days`, but for the present one of each lease. */
export async function dropOldTerms(to: Queryable, days: number): Promise<void> {
  await to.query(
    `DELETE FROM lease_terms t USING leases l
     WHERE t.begun_at < clock_timestamp() - $1 * interval '1 day' AND l.name = t.name AND t.term < l.term`,
    [days],
  );
}
