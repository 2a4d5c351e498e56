import { createHash, randomUUID } from "node:crypto";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGzip } from "node:zlib";
import { z } from "zod";
import type { Migration, Queryable } from "../db/db.ts";
import { pendingMigrations } from "../db/migrate.ts";
import type { PostgresDb } from "../db/postgres.ts";
import { inSnapshot } from "../db/snapshot.ts";
import { LockstepError } from "../kernel/errors.ts";
import { syncFolder } from "../kernel/syncFolder.ts";
import { columnsOf, describeTable, tablesOf } from "./catalog.ts";
import { type BackupKeys, backupFormat, type Manifest, manifestSchema, sealOf } from "./manifest.ts";
import type { BackupPlan } from "./plan.ts";

export type BackupMade = {
  readonly manifest: Manifest;
  readonly rows: Readonly<Record<string, number>>;
  readonly bytes: number;
  /** Tables of the schema that are none of this program's, and not in the file. */
  readonly foreign: readonly string[];
};

/** Rows that are asked for at a time. */
const page = 500;

/**
 * Writes all rows of one moment into a file, while others read and write. The file is there under its name only once it is
 * whole and on the disk; one that is there already is kept. Throws `backup-unwritable`, `database-newer` for tables that this
 * program does not know, and `not-found` where there are none.
 */
export async function createBackup(deps: {
  db: PostgresDb;
  migrations: readonly Migration[];
  plan: BackupPlan;
  keys: BackupKeys;
  program: string;
  file: string;
  now(): number;
}): Promise<BackupMade> {
  await assertFree(deps.file);
  await pendingMigrations(deps.db, deps.migrations);
  const part = `${deps.file}.part-${process.pid}`;
  const sink = createSink(part);
  try {
    const { schema } = deps.db;
    const tables = (await tablesOf(deps.db, schema)).filter((name) => name === "events");
    const held = tables.map((name) => `${schema}.${name}`);
    const made = await inSnapshot(deps.db, "READ ONLY", held, (from) => writeAll(from, deps, sink));
    await sink.end(deps.keys);
    // It may have taken long.
    await assertFree(deps.file);
    return { ...made, bytes: await place(part, deps.file) };
  } catch (error) {
    await sink.drop();
    await rm(part, { force: true });
    throw error;
  }
}

/** An older backup may be the only one there is. */
async function assertFree(file: string): Promise<void> {
  const there = await stat(file).catch(() => undefined);
  if (there) throw new LockstepError("backup-unwritable", `${file} is there already: expected the name of a new file`);
}

/** Gives the file its name for good, and tells how long it is. */
async function place(part: string, file: string): Promise<number> {
  try {
    await rename(part, file);
    await syncFolder(dirname(file));
    return (await stat(file)).size;
  } catch (cause) {
    throw unwritable(file, cause);
  }
}

const unwritable = (file: string, cause: unknown) =>
  new LockstepError("backup-unwritable", `${file}: ${cause instanceof Error ? cause.message : "cannot be written"}`, {
    cause,
  });

type Deps = Parameters<typeof createBackup>[0];

async function writeAll(from: Queryable, deps: Deps, sink: Sink): Promise<Omit<BackupMade, "bytes">> {
  const { schema } = deps.db;
  const there = await tablesOf(from, schema);
  const known = new Set([...deps.plan.kept.map(({ name }) => name), ...Object.keys(deps.plan.leftOut)]);
  const names = deps.plan.kept.map(({ name }) => name).filter((name) => there.includes(name));
  const tables = [];
  for (const name of names) tables.push(await describeTable(from, schema, name));
  const manifest = await manifestOf(from, deps, tables);
  await sink.line(JSON.stringify(z.encode(manifestSchema, manifest)));
  const rows: Record<string, number> = {};
  for (const table of tables) rows[table.name] = await writeTable(from, schema, table, sink);
  return { manifest, rows, foreign: there.filter((name) => !known.has(name)) };
}

async function manifestOf(from: Queryable, deps: Deps, tables: Manifest["tables"]): Promise<Manifest> {
  const { schema } = deps.db;
  const migrations = await from.query<Manifest["migrations"][number]>(
    `SELECT id, checksum FROM ${schema}.migrations ORDER BY place`,
  );
  if (migrations.length === 0) throw new LockstepError("not-found", "the database has no tables of the service yet");
  const has = (table: string) => tables.some(({ name }) => name === table);
  const [position] = await from.query<{ position: bigint }>(`SELECT position FROM ${schema}.event_counter`);
  const chains = has("indexer_checkpoint")
    ? await from.query<{ chain: string; genesis: string }>(`SELECT chain, genesis FROM ${schema}.indexer_checkpoint`)
    : [];
  const [at] = await from.query<{ instances: number }>(
    `SELECT count(*)::integer AS instances FROM ${schema}.instances
     WHERE stopped_at IS NULL AND seen_at > clock_timestamp() - interval '1 minute'`,
  );
  return {
    lockstepBackup: backupFormat,
    id: randomUUID(),
    takenAt: new Date(deps.now()).toISOString(),
    ...{ program: deps.program, migrations, tables },
    position: position?.position ?? 0n,
    chains: Object.fromEntries(chains.map(({ chain, genesis }) => [chain, genesis])),
    instances: at?.instances ?? 0,
  };
}

async function writeTable(from: Queryable, schema: string, table: Manifest["tables"][number], sink: Sink) {
  await sink.line(JSON.stringify({ table: table.name }));
  const sum = createHash("sha256");
  const texts = columnsOf(table).map((name) => `${name}::text`);
  await from.query(
    `DECLARE backup NO SCROLL CURSOR FOR SELECT ARRAY[${texts.join(", ")}]::text[] AS row FROM ${schema}.${table.name}`,
  );
  let count = 0;
  for (;;) {
    const rows = await from.query<{ row: (string | null)[] }>(`FETCH ${page} FROM backup`);
    for (const { row } of rows) {
      const line = JSON.stringify(row);
      sum.update(line).update("\n");
      await sink.line(line);
    }
    count += rows.length;
    if (rows.length < page) break;
  }
  await from.query("CLOSE backup");
  await sink.line(JSON.stringify({ rows: count, sha256: sum.digest("hex") }));
  return count;
}

type Sink = {
  line(text: string): Promise<void> | void;
  /** Resolves when all of it is on the disk. */
  end(keys: BackupKeys): Promise<void>;
  drop(): Promise<void>;
};

/** Lines into a new compressed file, no faster than the disk takes them. */
function createSink(file: string): Sink {
  const whole = createHash("sha256");
  const zip = createGzip();
  const written = pipeline(zip, createWriteStream(file, { flags: "wx", mode: 0o600, flush: true })).catch((cause) => {
    throw unwritable(file, cause);
  });
  written.catch(() => undefined);
  let lines = 0;
  const write = async (text: string): Promise<void> => {
    if (!zip.write(`${text}\n`)) await Promise.race([once(zip, "drain"), written]);
  };
  return {
    line(text) {
      whole.update(text).update("\n");
      lines += 1;
      return write(text);
    },
    async end(keys) {
      const sha256 = whole.digest("hex");
      await write(JSON.stringify({ rows: lines, sha256, seal: sealOf(keys[0], sha256) }));
      zip.end();
      await written;
    },
    async drop() {
      zip.destroy();
      await written.catch(() => undefined);
    },
  };
}
