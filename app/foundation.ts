import { join } from "node:path";
import { toBytes } from "viem";
import { createKeyStore, type KeyStore } from "#core/chain/keys.ts";
import { readKey } from "#core/config/accounts.ts";
import type { Env } from "#core/config/env.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import { startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { createDb, type PostgresDb } from "#core/db/postgres.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { type Redacted, redact } from "#core/kernel/redacted.ts";
import { createSealer, deriveKey, type Sealer } from "#core/kernel/seal.ts";
import type { Log } from "#core/observe/log.ts";

/** What everything stands on and nothing is decided in: database and keys. */
export type Foundation = {
  readonly db: PostgresDb;
  readonly connectionString: string;
  readonly keyStore: KeyStore;
  readonly sealer: Sealer;
  /** Signs quotes; derived from the sealing key. */
  readonly quoteKey: Redacted<Uint8Array>;
  close(): Promise<void>;
};

/**
 * Opens the database (embedded without DATABASE_URL) and reads the keys. Throws `config-invalid`, `data-folder-in-use` or
 * `database-unreachable`.
 */
export async function layFoundation(
  config: ServiceConfig,
  env: Env,
  deps: { log: Log; clock: Clock },
): Promise<Foundation> {
  const { log, clock } = deps;
  const accounts = Object.entries(config.accounts).map(
    ([name, source]) => [name, readKey(source, `accounts.${name}`)] as const,
  );
  const keyStore = createKeyStore(Object.fromEntries(accounts));
  const sealingKey = redact(toBytes(readKey(config.sealingKey, "sealingKey").reveal()));
  const sealer = createSealer(sealingKey);
  const quoteKey = deriveKey(sealingKey, "quotes");
  const embedded =
    env.DATABASE_URL === undefined
      ? await startEmbeddedDatabase({ log, clock, dataDir: join(config.dataDir, "db") })
      : undefined;
  const connectionString = env.DATABASE_URL ?? embedded?.connectionString ?? "";
  const db = createDb({ connectionString, log, clock });
  return {
    ...{ db, connectionString, keyStore, sealer, quoteKey },
    async close() {
      await db.close();
      await embedded?.close();
    },
  };
}
