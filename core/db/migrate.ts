import { createHash } from "node:crypto";
import { LockstepError } from "../kernel/errors.ts";
import type { Log } from "../observe/log.ts";
import type { Migration, Tx } from "./db.ts";
import { assertIdentifier } from "./identifier.ts";
import type { PostgresDb } from "./postgres.ts";

type Applied = { id: string; checksum: string };

/**
 * Brings the schema up to date in one transaction: each migration once, in the order given, safe when several
 * processes start at once. Ids are `scope/name`, e.g. `events/001-create`; per scope, what is already applied must be
 * the beginning of the list. Anything else (a newer program was here, or an applied migration was edited) throws
 * `database-newer` and changes nothing.
 */
export async function migrate(db: PostgresDb, migrations: readonly Migration[], log?: Log): Promise<void> {
  const schema = assertIdentifier(db.schema);
  const groups = byScope(migrations);
  await db.tx(async (tx) => {
    await lockSchema(tx, schema);
    await prepare(tx, schema);
    const applied = await tx.query<Applied>(`SELECT id, checksum FROM ${schema}.migrations ORDER BY place`);
    const done = new Set(applied.map(({ id }) => id));
    for (const [scope, wanted] of groups) assertBeginning(scope, wanted, applied);
    for (const migration of migrations) if (!done.has(migration.id)) await apply(tx, schema, migration);
    tx.afterCommit(() =>
      log?.info({ schema, applied: migrations.length - done.size }, "database schema is up to date"),
    );
  });
}

/** Keeps others from changing the tables of a schema until the transaction ends. */
export async function lockSchema(tx: Tx, schema: string): Promise<void> {
  await tx.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`lockstep migrate ${schema}`]);
}

/**
 * Makes the tables of a schema that has none as they were once: these migrations, in this order. Throws `database-newer`
 * where one is not what it was then.
 */
export async function applyMigrations(
  tx: Tx,
  schema: string,
  wanted: readonly (Migration & { readonly checksum: string })[],
): Promise<void> {
  await prepare(tx, assertIdentifier(schema));
  for (const migration of wanted) {
    if (checksum(migration) !== migration.checksum) throw otherStatements(migration.id);
    await apply(tx, schema, migration);
  }
}

async function prepare(tx: Tx, schema: string): Promise<void> {
  await tx.query(`CREATE SCHEMA IF NOT EXISTS ${schema}`);
  await tx.query(
    `CREATE TABLE IF NOT EXISTS ${schema}.migrations (
       place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
       id text NOT NULL UNIQUE,
       checksum text NOT NULL,
       applied_at timestamptz NOT NULL DEFAULT now())`,
  );
}

/**
 * How many migrations a database still lacks, read without changing anything. Throws `database-newer` as `migrate` would.
 */
export async function pendingMigrations(db: PostgresDb, migrations: readonly Migration[]): Promise<number> {
  const table = `${assertIdentifier(db.schema)}.migrations`;
  const [there] = await db.query<{ found: boolean }>("SELECT to_regclass($1) IS NOT NULL AS found", [table]);
  if (!there?.found) return migrations.length;
  const applied = await db.query<Applied>(`SELECT id, checksum FROM ${table} ORDER BY place`);
  for (const [scope, wanted] of byScope(migrations)) assertBeginning(scope, wanted, applied);
  const done = new Set(applied.map(({ id }) => id));
  return migrations.filter(({ id }) => !done.has(id)).length;
}

const checksum = (migration: Migration) => createHash("sha256").update(migration.sql).digest("hex");

const scopeOf = (id: string) => id.slice(0, id.indexOf("/") + 1);

function byScope(migrations: readonly Migration[]): Map<string, Migration[]> {
  const seen = new Set<string>();
  for (const { id } of migrations) {
    if (!/^[a-z0-9-]+\/[a-z0-9-]+$/.test(id))
      throw new RangeError(`expected a migration id like scope/name, got ${id}`);
    if (seen.has(id)) throw new RangeError(`the migration ${id} is listed twice`);
    seen.add(id);
  }
  return Map.groupBy(migrations, ({ id }) => scopeOf(id));
}

function assertBeginning(scope: string, wanted: readonly Migration[], applied: readonly Applied[]): void {
  const before = applied.filter(({ id }) => scopeOf(id) === scope);
  for (const [index, { id, checksum: was }] of before.entries()) {
    const expected = wanted[index];
    if (expected?.id === id && checksum(expected) === was) continue;
    if (expected?.id === id) throw otherStatements(id);
    const message = `The migration ${id} was applied to this database, but this program has ${expected?.id ?? "none"} there`;
    throw new LockstepError("database-newer", message, { details: { migration: id } });
  }
}

const otherStatements = (id: string) =>
  new LockstepError("database-newer", `The migration ${id} was applied with other statements than this program has`, {
    details: { migration: id },
  });

async function apply(tx: Tx, schema: string, migration: Migration): Promise<void> {
  await tx.query(migration.sql);
  await tx.query(`INSERT INTO ${schema}.migrations (id, checksum) VALUES ($1, $2)`, [
    migration.id,
    checksum(migration),
  ]);
}
