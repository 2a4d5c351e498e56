import { randomUUID } from "node:crypto";
import type { Migration, Queryable, Tx } from "../db/db.ts";
import { assertIdentifier } from "../db/identifier.ts";
import { applyMigrations, lockSchema } from "../db/migrate.ts";
import type { PostgresDb } from "../db/postgres.ts";
import { LockstepError } from "../kernel/errors.ts";
import { assertType, columnsOf, tablesOf } from "./catalog.ts";
import { type BackupKeys, invalid, type Manifest, type ManifestTable } from "./manifest.ts";
import type { BackupPlan } from "./plan.ts";
import { type BackupContents, type BackupReader, type BackupRow, readBackup } from "./read.ts";

export type Restored = BackupContents & {
  /** Events that come from now on have higher positions. */
  readonly resumesAfter: bigint;
  /** Of the mark that keeps everything from being sent; undefined where nothing can have happened since. */
  readonly restore: string | undefined;
};

/** How the service goes on: at first it sends nothing (and longer, where only an operator ends that), or as it was left. */
export type AfterRestore = "held" | "held-until-released" | "moved";

/**
 * Fills an empty database with a backup: everything, or nothing. Its tables are those of when it was made; what has
 * changed since is done by the next start. Throws `backup-invalid`, `database-newer`, or
 * `database-not-empty`.
 */
export async function restoreBackup(deps: {
  db: PostgresDb;
  migrations: readonly Migration[];
  plan: BackupPlan;
  keys: BackupKeys;
  file: string;
  after: AfterRestore;
  now(): number;
}): Promise<Restored> {
  const { db, file, keys, plan } = deps;
  // All of it is read once before anything is written, so that what is damaged is known at once.
  const whole = await readBackup(file, { manifest: (found) => assertKnown(found, plan), rows: () => undefined }, keys);
  const restore = deps.after === "moved" ? undefined : randomUUID();
  const resumesAfter = await db.tx(async (tx) => {
    // The file may come from where it is read slowly.
    await tx.query("SET LOCAL idle_in_transaction_session_timeout = 0");
    await lockSchema(tx, db.schema);
    await assertEmpty(tx, db.schema);
    const { loader, begin } = loaderOf(tx, deps);
    const loaded = await readBackup(file, loader, keys);
    if (loaded.sha256 !== whole.sha256) throw invalid(`${file} was replaced while it was restored`);
    for (const { name } of whole.manifest.tables) await begin(name);
    for (const table of whole.manifest.tables) await setCounters(tx, table);
    for (const { name, afterwards } of plan.kept) {
      if (afterwards && whole.manifest.tables.some((table) => table.name === name)) await tx.query(afterwards);
    }
    const after = await plan.resume(tx, whole.manifest.position, new Date(deps.now()));
    const mark = { ...deps, restore, resumesAfter: after, manifest: whole.manifest };
    if (restore !== undefined) await holdEverything(tx, { ...mark, restore });
    return after;
  });
  return { ...whole, resumesAfter, restore };
}

type LoaderDeps = { db: PostgresDb; migrations: readonly Migration[]; plan: BackupPlan };

function loaderOf(tx: Tx, { db, migrations, plan }: LoaderDeps) {
  const begun = new Set<string>();
  /** A table without rows is made ready as well: `begin` is for those that `loader` never heard of. */
  const begin = async (name: string): Promise<void> => {
    if (!begun.has(name)) await plan.kept.find((table) => table.name === name)?.beforehand?.(tx);
    begun.add(name);
  };
  const loader: BackupReader = {
    manifest: (manifest) => applyMigrations(tx, db.schema, wantedOf(manifest, migrations)),
    async rows(table, rows) {
      await begin(table.name);
      await insertRows(tx, table, rows);
    },
  };
  return { loader, begin };
}

function assertKnown(manifest: Manifest, plan: BackupPlan): void {
  const known = new Set(plan.kept.map(({ name }) => name));
  const unknown = manifest.tables.find(({ name }) => !known.has(name));
  if (unknown) throw newer(`it has a table ${unknown.name}, which this program does not know`);
}

/** Those that the backup has, in the order in which they were applied there. */
function wantedOf(manifest: Manifest, migrations: readonly Migration[]) {
  const byId = new Map(migrations.map((each) => [each.id, each]));
  return manifest.migrations.map(({ id, checksum }) => {
    const found = byId.get(id);
    if (!found) throw newer(`it has the migration ${id}, which this program does not know`);
    return { ...found, checksum };
  });
}

const newer = (why: string) =>
  new LockstepError("database-newer", `The backup was made by another version of this program: ${why}`);

async function assertEmpty(tx: Tx, schema: string): Promise<void> {
  const tables = await tablesOf(tx, schema);
  if (tables.length > 0) {
    throw new LockstepError(
      "database-not-empty",
      `the schema ${schema} has ${tables.length} tables already; a backup is restored into a database without any`,
      { details: { schema, tables: tables.length } },
    );
  }
}

/** Processes that lost their database under them would go on with what they remember. Throws `database-in-use`. */
export async function assertNobodyConnected(db: PostgresDb): Promise<void> {
  await db.tx(async (tx) => {
    const [others] = await tx.query<{ count: number }>(
      `SELECT count(*)::integer AS count FROM pg_stat_activity
       WHERE datname = current_database() AND application_name LIKE 'lockstep%' AND pid <> pg_backend_pid()
         AND backend_type = 'client backend'`,
    );
    if ((others?.count ?? 0) === 0) return;
    throw new LockstepError(
      "database-in-use",
      "processes of the service are connected to the database; stop them first",
    );
  });
}

/** The one row that some tables have is there already: it takes the place of that. */
function onConflict(columns: readonly string[]): string {
  if (!columns.includes(oneRow)) return "";
  return `ON CONFLICT (${oneRow}) DO UPDATE SET ${columns.map((name) => `${name} = excluded.${name}`).join(", ")}`;
}

/** The key of a table that has one row, which its migration makes. */
const oneRow = "one_row";

async function insertRows(tx: Queryable, table: ManifestTable, rows: readonly BackupRow[]): Promise<void> {
  const columns = columnsOf(table);
  const values = table.columns.map(([, type], at) => `given.c${at}::${assertType(type)}`);
  const arrays = columns.map((_, at) => `$${at + 1}::text[]`);
  await tx.query(
    `INSERT INTO ${assertIdentifier(table.name)} (${columns.join(", ")}) OVERRIDING SYSTEM VALUE
     SELECT ${values.join(", ")} FROM unnest(${arrays.join(", ")}) AS given (${columns.map((_, at) => `c${at}`).join(", ")})
     ${onConflict(columns)}`,
    columns.map((_, at) => rows.map((row) => row[at])),
  );
}

/** Counters go on where they were, so that what they gave out once is not given out again. */
async function setCounters(tx: Tx, { name, counters }: ManifestTable): Promise<void> {
  for (const { column, last, given } of counters) {
    await tx.query("SELECT setval(pg_get_serial_sequence($1, $2), $3, $4)", [name, column, last, given]);
  }
}

/** From here on nothing is sent until the service is at one with the chains again. */
async function holdEverything(
  tx: Tx,
  mark: { restore: string; resumesAfter: bigint; manifest: Manifest; after: AfterRestore; now(): number },
): Promise<void> {
  const { restore, resumesAfter, manifest, after, now } = mark;
  if (!manifest.migrations.some(({ id }) => id.startsWith("restore/"))) {
    throw newer("it is from before backups could be restored");
  }
  // A backup that was made during a hold has that with it: there is one thing to wait for.
  await tx.query("UPDATE restores SET ended_at = $1 WHERE ended_at IS NULL", [new Date(now())]);
  await tx.query(
    `INSERT INTO restores (id, backup, taken_at, restored_at, position, resumes_after, stays)
     VALUES ($1, $2, $3, $4, $5, $6, $7)`,
    [
      ...[restore, manifest.id, new Date(manifest.takenAt), new Date(now()), manifest.position, resumesAfter],
      after === "held-until-released",
    ],
  );
  await tx.query(
    "INSERT INTO restore_chains (restore, chain, height) SELECT $1, chain, final FROM indexer_checkpoint",
    [restore],
  );
}
