import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import pg from "pg";
import { type EmbeddedDatabase, startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { createDb, type PostgresDb } from "#core/db/postgres.ts";
import { createLog } from "#core/observe/log.ts";
import { isRequired } from "./required.ts";

export const postgresServer = "postgres://postgres@127.0.0.1:5432/postgres";

/** One more way in: a fresh schema for the caller alone. */
export type OpenDatabase = {
  readonly db: PostgresDb;
  readonly connectionString: string;
  readonly schema: string;
  /** A further `Db` on the same data, as another process would have it; closed by `close`. */
  another(): PostgresDb;
  /** Closes every `Db` and drops what was made. */
  close(): Promise<void>;
};

export type DatabaseBackend = { readonly name: "pglite" | "postgres"; open(): Promise<OpenDatabase> };

export const quietLog = createLog({ level: "silent", name: "test" });

/**
 * Runs the same cases against every database that is available: `define` is called inside a `describe` per backend and
 * gets `backend.open()`. PGlite is always there; PostgreSQL where 127.0.0.1:5432 answers, otherwise one case by its
 * name is reported as skipped.
 *
 *     await forEachDatabase("event store", (backend) => {
 *       it("appends", async () => {
 *         const { db, close } = await backend.open();
 *         try { … } finally { await close(); }
 *       });
 *     });
 */
export async function forEachDatabase(name: string, define: (backend: DatabaseBackend) => void): Promise<void> {
  describe(`${name} on pglite`, () => define(embeddedDatabase));
  await onPostgres(name, define);
}

/**
 * As `forEachDatabase`, on one database: for what stands on the port that the cases of `core/db` and `core/events` try on
 * both. PostgreSQL where it answers, because real concurrency shows more; all with LOCKSTEP_TEST_DATABASES=all.
 */
export async function onDatabase(name: string, define: (backend: DatabaseBackend) => void): Promise<void> {
  if (process.env.LOCKSTEP_TEST_DATABASES === "all") return forEachDatabase(name, define);
  const backend = await openBackend();
  describe(`${name} on ${backend.name}`, () => define(backend));
}

/** As `forEachDatabase`, for what only real concurrency shows. */
export async function onPostgres(name: string, define: (backend: DatabaseBackend) => void): Promise<void> {
  const answers = await postgresAnswers();
  describe(`${name} on postgres`, () => {
    if (answers) define({ name: "postgres", open: openPostgres });
    else it(`${name} on postgres`, { skip: "no PostgreSQL at 127.0.0.1:5432" }, () => undefined);
  });
}

/** The database that measurements are made with: PostgreSQL where it answers. */
export async function openBackend(): Promise<DatabaseBackend> {
  return (await postgresAnswers()) ? { name: "postgres", open: openPostgres } : { name: "pglite", open: openPglite };
}

/** Runs `work` on a fresh database of the backend and drops it afterwards. */
export async function withDatabase<T>(
  backend: DatabaseBackend,
  work: (database: OpenDatabase) => Promise<T>,
): Promise<T> {
  const database = await backend.open();
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

/** The database that is always there. */
export const embeddedDatabase: DatabaseBackend = { name: "pglite", open: () => openPglite() };

let embedded: Promise<EmbeddedDatabase> | undefined;

/** One in-memory process for all tests of this process; it does not keep the process alive and ends with it. */
async function openPglite(): Promise<OpenDatabase> {
  embedded ??= startEmbeddedDatabase({ log: quietLog, background: true });
  const { connectionString } = await embedded;
  const schema = `test_${randomBytes(6).toString("hex")}`;
  return opened(connectionString, schema, (db) => db.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`));
}

let shared: Promise<string> | undefined;

/** Like that one: to make and drop a database takes longer than most tests, a schema next to nothing. */
async function openPostgres(): Promise<OpenDatabase> {
  shared ??= createShared();
  const connectionString = await shared;
  const schema = `test_${randomBytes(6).toString("hex")}`;
  // When all connections are closed, since one of them may have left a transaction open.
  return opened(connectionString, schema, undefined, () =>
    onServer(`DROP SCHEMA IF EXISTS ${schema} CASCADE`, connectionString),
  );
}

/** A database that is dropped when this process has nothing more to do. */
async function createShared(): Promise<string> {
  const name = `lockstep_test_${randomBytes(6).toString("hex")}`;
  await onServer(`CREATE DATABASE ${name}`);
  process.once("beforeExit", () => void onServer(`DROP DATABASE ${name} WITH (FORCE)`));
  return new URL(name, postgresServer).href;
}

function opened(
  connectionString: string,
  schema: string,
  beforeClose?: (db: PostgresDb) => Promise<unknown>,
  afterClose?: () => Promise<unknown>,
): OpenDatabase {
  const all: PostgresDb[] = [];
  const another = () => {
    const db = createDb({ connectionString, schema, log: quietLog });
    all.push(db);
    return db;
  };
  const db = another();
  return {
    db,
    connectionString,
    schema,
    another,
    async close() {
      await beforeClose?.(db);
      await Promise.all(all.map((each) => each.close()));
      await afterClose?.();
    },
  };
}

/** Runs one statement, outside any of the databases made here unless told. */
export async function onServer(sql: string, connectionString = postgresServer): Promise<void> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

export async function postgresAnswers(): Promise<boolean> {
  const client = new pg.Client({ connectionString: postgresServer, connectionTimeoutMillis: 1_000 });
  try {
    await client.connect();
    await client.end();
    return true;
  } catch (error) {
    if (isRequired("postgres")) throw error;
    return false;
  }
}
