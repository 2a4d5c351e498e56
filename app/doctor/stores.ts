import type { ArchiveStorage } from "#core/archive/storage.ts";
import { assertSameStore } from "#core/archive/tables.ts";
import type { Env } from "#core/config/env.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import type { Migration } from "#core/db/db.ts";
import { pendingMigrations } from "#core/db/migrate.ts";
import { createDb } from "#core/db/postgres.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import { readRedisFacts } from "#core/queue/redisFacts.ts";
import { archiveStorage } from "../archive.ts";
import { readSealer } from "../backup/open.ts";
import { createServiceReseal } from "../sealed.ts";
import { type Finding, fault, ok, warning, wordsOf } from "./finding.ts";
import { checkFolder } from "./machine.ts";

const leastPostgres = 150_000;

/** The database that the environment names; the embedded one needs nothing but its folder. */
export async function checkDatabase(env: Env, migrations: readonly Migration[], log: Log): Promise<Finding> {
  const name = "database";
  if (env.DATABASE_URL === undefined) return ok(name, "the embedded one, as DATABASE_URL is not set");
  const db = createDb({ connectionString: env.DATABASE_URL, log, poolSize: 1 });
  try {
    const [row] = await db.query<{ number: string; version: string }>(
      "SELECT current_setting('server_version_num') AS number, current_setting('server_version') AS version",
    );
    if (Number(row?.number) < leastPostgres)
      return fault(name, `PostgreSQL ${row?.version} answers`, "use PostgreSQL 15 or later");
    const pending = await pendingMigrations(db, migrations);
    const tables = pending === 0 ? "up to date" : `${pending} changes of tables are made at the next start`;
    return ok(name, `PostgreSQL ${row?.version}; ${tables}`);
  } catch (error) {
    if (isLockstepError(error, "database-newer"))
      return fault(name, wordsOf(error), "run the version of this program that changed the database, or a later one");
    return fault(name, wordsOf(error), "look at DATABASE_URL, and whether the server runs and lets this user in");
  } finally {
    await db.close();
  }
}

type Place = { readonly cluster: string; readonly replica: boolean };

/** The replica that the environment names; nothing where it names none. */
export async function checkReplica(env: Pick<Env, "DATABASE_URL" | "DATABASE_READ_URL">, log: Log): Promise<Finding[]> {
  const name = "read replica";
  const { DATABASE_URL: primary, DATABASE_READ_URL: replica } = env;
  if (replica === undefined || primary === undefined) return [];
  const [own, main] = await Promise.allSettled([replica, primary].map((url) => placeOf(url, log)));
  if (own?.status !== "fulfilled") {
    const fix =
      "look at DATABASE_READ_URL, and whether the server runs and lets this user in; until then reads go to the primary";
    return [warning(name, wordsOf(own?.reason), fix)];
  }
  if (!own.value.replica) {
    return [
      warning(name, "it follows no other server", "name a streaming replica of DATABASE_URL as DATABASE_READ_URL"),
    ];
  }
  // That the primary does not answer is said of the database.
  if (main?.status === "fulfilled" && main.value.cluster !== own.value.cluster) {
    return [warning(name, "it follows another server than DATABASE_URL", "name a replica of that database")];
  }
  return [ok(name, "it follows the database")];
}

async function placeOf(connectionString: string, log: Log): Promise<Place> {
  const db = createDb({ connectionString, log, poolSize: 1 });
  try {
    const [row] = await db.query<Place>(
      `SELECT pg_is_in_recovery() AS replica, (SELECT system_identifier FROM pg_control_system())
                || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) AS cluster`,
    );
    return row ?? { cluster: "", replica: false };
  } finally {
    await db.close();
  }
}

/** The Redis that the environment names, where it names one. */
export async function checkQueue(env: Env): Promise<Finding> {
  const name = "queue";
  if (env.REDIS_URL === undefined) return ok(name, "in the database, as REDIS_URL is not set");
  try {
    const { version, maxmemoryPolicy } = await readRedisFacts(env.REDIS_URL);
    if (Number(version.split(".")[0]) < 6) return fault(name, `Redis ${version} answers`, "use Redis 6.2 or later");
    if (maxmemoryPolicy !== undefined && maxmemoryPolicy !== "noeviction")
      return warning(
        name,
        `Redis ${version} may drop jobs when its memory is full (${maxmemoryPolicy})`,
        "set its maxmemory-policy to noeviction",
      );
    return ok(name, `Redis ${version}`);
  } catch (error) {
    return fault(name, wordsOf(error), "look at REDIS_URL, and whether the server runs and lets this user in");
  }
}

/** Where what has ended goes to. Of an S3 store only whether it answers: nothing is written. */
export async function checkArchive(config: ServiceConfig, env: Env, log: Log): Promise<Finding> {
  const name = "archive";
  const store = config.archive?.store;
  const fix = "look at `archive.store`: whether it is mounted, the address, the bucket, and what the key may do";
  try {
    const storage = archiveStorage(config, env);
    if (!storage) return ok(name, "none: what has ended stays in the database");
    if (env.DATABASE_URL !== undefined) await assertSame(env.DATABASE_URL, storage, log);
    if (store?.type === "folder") return checkFolder(name, store.path, "archive.store.path");
    if (store) await storage.read("doctor");
    return ok(name, storage.place);
  } catch (error) {
    // That it is not there is an answer.
    if (isLockstepError(error, "archive-damaged") && store?.type === "s3") return ok(name, `${store.bucket} answers`);
    return fault(name, wordsOf(error), fix);
  }
}

/** Throws where the newest archived file that the database knows of is not in the store; nothing where it cannot be asked. */
async function assertSame(connectionString: string, storage: ArchiveStorage, log: Log): Promise<void> {
  const db = createDb({ connectionString, log, poolSize: 1 });
  try {
    await assertSameStore(db, storage);
  } catch (error) {
    if (isLockstepError(error, "archive-unreachable")) throw error;
  } finally {
    await db.close();
  }
}

/** Whether the sealing keys open what is sealed in the database; nothing where there is no key or no database to try. */
export async function checkSealingKey(
  config: ServiceConfig,
  env: Env,
  migrations: readonly Migration[],
  log: Log,
): Promise<Finding[]> {
  if (env.DATABASE_URL === undefined) return [];
  const name = "sealing key";
  const db = createDb({ connectionString: env.DATABASE_URL, log, poolSize: 1 });
  try {
    if ((await pendingMigrations(db, migrations)) > 0) return [];
    await createServiceReseal({ db, sealer: readSealer(config) }).assertOpens();
    return [ok(name, "opens what is sealed in the database")];
  } catch (error) {
    if (!isLockstepError(error, "config-invalid") || error.details.field !== "previousSealingKeys") return [];
    return [
      fault(name, wordsOf(error), "name the key that it was sealed with as `sealingKey` or in `previousSealingKeys`"),
    ];
  } finally {
    await db.close();
  }
}
