import { join } from "node:path";
import { toBytes } from "viem";
import type { BackupKeys } from "#core/backup/manifest.ts";
import { readKey } from "#core/config/accounts.ts";
import type { Env } from "#core/config/env.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import { openConnection, startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { createDb, type PostgresDb } from "#core/db/postgres.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer, deriveKey, type Sealer } from "#core/kernel/seal.ts";
import type { Log } from "#core/observe/log.ts";

type SealingKeys = Pick<ServiceConfig, "sealingKey" | "previousSealingKeys">;

/** The present one, and those from before. Throws `config-invalid`. */
function readSealingKeys({ sealingKey, previousSealingKeys }: SealingKeys) {
  const keyOf = (source: ServiceConfig["sealingKey"], field: string) =>
    redact(toBytes(readKey(source, field).reveal()));
  const before = previousSealingKeys.map((source, at) => keyOf(source, `previousSealingKeys.${at}`));
  return { present: keyOf(sealingKey, "sealingKey"), before };
}

/** Sign backups, and tell whether one is this service's; derived from the sealing keys. Throws `config-invalid`. */
export function readBackupKeys(config: SealingKeys): BackupKeys {
  const { present, before } = readSealingKeys(config);
  return [deriveKey(present, "backup"), ...before.map((key) => deriveKey(key, "backup"))];
}

/** Opens what is sealed in the database. Throws `config-invalid`. */
export function readSealer(config: SealingKeys): Sealer {
  const { present, before } = readSealingKeys(config);
  return createSealer(present, before);
}

/**
 * The database of a service, whether that runs or not: one with a server of its own, the embedded one started from its
 * folder, or the one that the service has started. Throws `data-folder-in-use` where that cannot be reached.
 */
export async function openServiceDatabase(
  config: Pick<ServiceConfig, "dataDir">,
  env: Env,
  log: Log,
): Promise<{ readonly db: PostgresDb; close(): Promise<void> }> {
  if (env.DATABASE_URL !== undefined) return plain(env.DATABASE_URL, log);
  const dataDir = join(config.dataDir, "db");
  try {
    const embedded = await startEmbeddedDatabase({ log, dataDir, patienceMs: 0 });
    const db = createDb({ connectionString: embedded.connectionString, log });
    return {
      db,
      async close() {
        await db.close();
        await embedded.close();
      },
    };
  } catch (error) {
    const connection = isLockstepError(error, "data-folder-in-use") ? openConnection(dataDir) : undefined;
    if (connection === undefined) throw error;
    return plain(connection, log);
  }
}

function plain(connectionString: string, log: Log) {
  const db = createDb({ connectionString, log, poolSize: 2 });
  return { db, close: () => db.close() };
}
