import { join } from "node:path";
import { type Archiver, createArchiver } from "#core/archive/archiver.ts";
import { createFolderStorage } from "#core/archive/folder.ts";
import { createArchiveKeeper } from "#core/archive/keeper.ts";
import { gaugeArchive } from "#core/archive/metrics.ts";
import { createArchiveReader } from "#core/archive/reader.ts";
import { createS3Storage } from "#core/archive/s3.ts";
import type { ArchiveStorage } from "#core/archive/storage.ts";
import { entriesOf } from "#core/archive/tables.ts";
import type { RestoreHold } from "#core/backup/hold.ts";
import { readSecret } from "#core/config/accounts.ts";
import { hotMs, keptMs } from "#core/config/archive.ts";
import type { Env } from "#core/config/env.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import type { Db, Queryable } from "#core/db/db.ts";
import { createEventCodec } from "#core/events/codec.ts";
import { journeysName } from "#core/events/journeys.ts";
import { createPartitions } from "#core/events/partitions.ts";
import type { EventStore, StoredEvent } from "#core/events/store.ts";
import { createAuditArchiver } from "#core/http/audit/archive.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Mark } from "#core/kernel/mark.ts";
import type { Leases } from "#core/lease/lease.ts";
import type { Log } from "#core/observe/log.ts";
import type { Metrics } from "#core/observe/metrics.ts";
import { archiveIntents } from "#core/sender/archive.ts";
import { archiveMessages, countedKinds } from "#relay";
import { archiveBatches, archiveSwaps } from "#swap";
import type { Part } from "./lifecycle.ts";
import { serviceEvents } from "./stored.ts";

const defaultEveryMinutes = 60;

/**
 * Where archived files are. Without a word in the configuration beside the embedded database; nowhere where the database
 * is elsewhere: what is on the disk of one machine might be gone with it. Throws `config-invalid`.
 */
export function archiveStorage(config: ServiceConfig, env: Env): ArchiveStorage | undefined {
  const store = config.archive?.store;
  if (!store) {
    if (config.archive && env.DATABASE_URL !== undefined) {
      const message = "archive.store: expected where archived files go, since the database is not in the data folder";
      throw new LockstepError("config-invalid", message, { details: { field: "archive.store" } });
    }
    return env.DATABASE_URL === undefined ? createFolderStorage(join(config.dataDir, "archive")) : undefined;
  }
  if (store.type === "folder") return createFolderStorage(store.path);
  return createS3Storage({
    ...store,
    accessKeyId: readSecret(store.accessKeyId, "archive.store.accessKeyId"),
    secretAccessKey: readSecret(store.secretAccessKey, "archive.store.secretAccessKey"),
  });
}

/** Reads what has left the database. Throws `archive-unreachable` for that where the configuration names no archive. */
export function archivedHistories(
  db: Queryable,
  storage: ArchiveStorage | undefined,
): (streams: readonly string[]) => Promise<ReadonlyMap<string, StoredEvent[]>> {
  if (!storage) {
    return async (streams) => {
      const [gone] = await entriesOf(db, streams);
      if (!gone) return new Map();
      throw new LockstepError(
        "archive-unreachable",
        "it was archived, and the configuration here names no archive.store",
      );
    };
  }
  return createArchiveReader({ db, storage, codec: createEventCodec(serviceEvents) }).histories;
}

type Deps = { config: ServiceConfig; db: Db; store: EventStore; clock: Clock; log: Log; mark: Mark };

/** Moves what has ended; `db` is that of whoever may. */
export function createServiceArchiver(deps: Deps & { storage: ArchiveStorage }): Archiver {
  const { events, intents } = deps.config.retention;
  const of = { store: deps.store, keptMs: keptMs(events) };
  return createArchiver({
    ...deps,
    codec: createEventCodec(serviceEvents),
    // What intents are for leaves before them.
    kinds: [
      archiveMessages(of),
      archiveSwaps(of),
      archiveBatches(of),
      archiveIntents({ ...of, keptMs: keptMs(intents), counted: countedKinds }),
    ],
    readUpTo,
  });
}

/** All that moves something, the audit too. */
export const serviceArchivers = (deps: Deps & { storage: ArchiveStorage }): Archiver[] => [
  createServiceArchiver(deps),
  createAuditArchiver({ ...deps, keptMs: keptMs(deps.config.retention.audit) }),
];

/**
 * Where the outbox and the receivers of webhooks have come to. Those that are given up are not waited for, nor traces: what
 * leaves is far older than what they still tell of.
 */
async function readUpTo(from: Queryable): Promise<bigint> {
  const [row] = await from.query<{ position: bigint }>(
    `SELECT least(coalesce((SELECT min(position) FROM event_subscriptions WHERE name <> $1), 0),
                  (SELECT min(position) FROM webhooks WHERE state = 'active')) AS position`,
    [journeysName],
  );
  return row?.position ?? 0n;
}

/** The partitions and the archive, kept up by one process at a time. */
export function createArchiving(
  deps: Deps & {
    storage: ArchiveStorage | undefined;
    leases: Leases;
    hold: Pick<RestoreHold, "isHeld">;
    metrics: Metrics;
  },
): Part {
  const { config, storage, clock, metrics } = deps;
  const log = deps.log.child({ module: "archive" });
  const lease = deps.leases.of("archive");
  const failures = new Map<string, number>();
  metrics.gauge("archive_failures", "Runs of the archive by this process that failed", ["code"], (set) => {
    for (const [code, count] of failures) set({ code }, count);
  });
  gaugeArchive(metrics, deps);
  const keeper = createArchiveKeeper({
    partitions: createPartitions({ db: lease.db, clock, log, stepMs: hotMs(config.retention.events) }),
    archivers: storage ? serviceArchivers({ ...deps, storage, db: lease.db, log }) : [],
    everyMs: (config.archive?.everyMinutes ?? defaultEveryMinutes) * 60_000,
    // Somebody may want to look at what is there first.
    mayMove: async () => !(await deps.hold.isHeld()),
    failed: (code) => void failures.set(code, (failures.get(code) ?? 0) + 1),
    ...{ log, clock },
  });
  return { start: () => lease.contend(keeper), stop: lease.leave };
}
