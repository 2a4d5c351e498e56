import { createArchiveReader } from "#core/archive/reader.ts";
import type { ArchiveStorage } from "#core/archive/storage.ts";
import { listFiles } from "#core/archive/tables.ts";
import { isHeldIn } from "#core/backup/hold.ts";
import { hotMs } from "#core/config/archive.ts";
import { loadConfig, parseEnv } from "#core/config/load.ts";
import { type ServiceConfig, serviceConfigSchema } from "#core/config/service.ts";
import { migrate } from "#core/db/migrate.ts";
import type { PostgresDb } from "#core/db/postgres.ts";
import { createEventCodec } from "#core/events/codec.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { createPartitions } from "#core/events/partitions.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";
import { noMark } from "#core/kernel/mark.ts";
import { createLog, type Log } from "#core/observe/log.ts";
import { findMessageId } from "#relay";
import { findSwapId } from "#swap";
import { archiveStorage, serviceArchivers } from "../archive.ts";
import { layFoundation } from "../foundation.ts";
import { migrations, serviceEvents } from "../stored.ts";
import { print, table } from "../terminal.ts";
import { readOptions } from "./options.ts";
import { archiveListCommand, archiveRunCommand, archiveShowCommand } from "./specs.ts";

/** Files that are shown. */
const mostFiles = 100;

/** Moves what has ended and is old enough, as the service does by itself. */
export async function runArchiveRun(args: readonly string[]): Promise<number> {
  const { config, json } = readOptions(archiveRunCommand, args);
  return withArchive(config, async (world) => {
    const { db, log, storage } = world;
    await migrate(db, migrations);
    if (await isHeldIn(db))
      throw new LockstepError("restoring", "the service is held after a restore: nothing is moved");
    const store = createEventStore({ db, log, schemas: serviceEvents, remembers: () => false });
    const deps = { config: world.config, db, log, clock: systemClock };
    const partitions = createPartitions({ ...deps, stepMs: hotMs(world.config.retention.events) });
    await partitions.keepUp();
    const items: Record<string, number> = {};
    for (const archiver of serviceArchivers({ ...deps, storage, store, mark: noMark })) {
      Object.assign(items, (await archiver.run()).items);
    }
    const joined = await partitions.carryOver();
    if (json) print(toJson({ items, joined }));
    else {
      const words = Object.entries(items).map(([kind, count]) => `${count} of ${kind}`);
      print(words.length === 0 ? "nothing is old enough" : `moved ${words.join(", ")} to ${storage.place}`);
    }
    return 0;
  });
}

/** Shows the newest files of the archive. */
export async function runArchiveList(args: readonly string[]): Promise<number> {
  const { config, json } = readOptions(archiveListCommand, args);
  return withArchive(config, async ({ db }) => {
    const files = await listFiles(db, undefined, mostFiles);
    if (json) print(toJson(files));
    else {
      const rows = files.map(({ name, items, bytes, firstAt, lastAt }) => {
        return [name, String(items), String(bytes), firstAt?.toISOString() ?? "", lastAt?.toISOString() ?? ""];
      });
      print(table(["file", "items", "bytes", "first", "last"], rows));
    }
    return 0;
  });
}

/** Prints the line of something that was archived, as it is in its file. */
export async function runArchiveShow(args: readonly string[]): Promise<number> {
  const { config, id } = readOptions(archiveShowCommand, args);
  return withArchive(config, async ({ db, storage }) => {
    const reader = createArchiveReader({ db, storage, codec: createEventCodec(serviceEvents) });
    const reference = id.toLowerCase();
    const [message, swap] = [await findMessageId(db, reference), await findSwapId(db, reference)];
    for (const stream of [`message-${message ?? id}`, `swap-${swap ?? id}`, `intent-${id}`, id]) {
      const line = await reader.line(stream);
      if (line === undefined) continue;
      print(line);
      return 0;
    }
    throw new LockstepError("not-found", `nothing in the archive has the id ${id}`, { details: { field: "ID" } });
  });
}

type World = {
  readonly config: ServiceConfig;
  readonly db: PostgresDb;
  readonly storage: ArchiveStorage;
  readonly log: Log;
};

async function withArchive<T>(file: string, work: (world: World) => Promise<T>): Promise<T> {
  const env = parseEnv();
  const log = createLog({
    level: env.LOCKSTEP_LOG_LEVEL === "info" ? "warn" : env.LOCKSTEP_LOG_LEVEL,
    name: "archive",
  });
  const config = loadConfig(file, serviceConfigSchema);
  const storage = archiveStorage(config, env);
  if (!storage) {
    const message = "archive: the configuration names no store for what has ended";
    throw new LockstepError("config-invalid", message, { details: { field: "archive" } });
  }
  const { db, close } = await layFoundation(config, env, { log, clock: systemClock });
  try {
    return await work({ config, db, storage, log });
  } finally {
    await close();
  }
}
