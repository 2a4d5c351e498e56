import { join } from "node:path";
import { toBytes } from "viem";
import { createKeyStore, type KeyStore, type Signer } from "#core/chain/keys.ts";
import { readEach, readKey } from "#core/config/accounts.ts";
import type { Env } from "#core/config/env.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import { startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { refusalOf } from "#core/db/failures.ts";
import { createDb, type PostgresDb } from "#core/db/postgres.ts";
import { tracedDb } from "#core/db/tracedDb.ts";
import type { AuditKeys } from "#core/http/audit/log.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Redacted, redact } from "#core/kernel/redacted.ts";
import { createSealer, deriveKey, type Sealer } from "#core/kernel/seal.ts";
import type { Log } from "#core/observe/log.ts";
import type { Tracing } from "#core/observe/tracing.ts";
import { accountReaders, fieldOf } from "./accounts.ts";

/** What everything stands on and nothing is decided in: database and keys. */
export type Foundation = {
  readonly db: PostgresDb;
  readonly connectionString: string;
  readonly keyStore: KeyStore;
  readonly sealer: Sealer;
  /** Signs quotes; derived from the sealing key. */
  readonly quoteKey: Redacted<Uint8Array>;
  /** What an approval hook knows the service by, where there is one. */
  readonly approvalSecret: Redacted<Hex> | undefined;
  /** What quotes made before a rotation are signed by. */
  readonly previousQuoteKeys: readonly Redacted<Uint8Array>[];
  /** Seal the head of the audit; derived from the sealing keys. */
  readonly auditKeys: AuditKeys;
  /** Keys fingerprints of configurations; the same in all processes of a service. */
  readonly fingerprintKey: Redacted<Uint8Array>;
  close(): Promise<void>;
};

/** Milliseconds that a busy machine may let a transaction wait for its next statement. */
const leastIdleMs = 4_000;

/**
 * Opens the database (embedded without DATABASE_URL) and reads the keys. Throws `config-invalid`, `data-folder-in-use` or
 * `database-unreachable`.
 */
export async function layFoundation(
  config: ServiceConfig,
  env: Env,
  deps: { log: Log; clock: Clock; tracing?: Tracing | undefined },
): Promise<Foundation> {
  const { log, clock } = deps;
  const { keyStore, sealingKey, previousSealingKeys } = await readAllKeys(config, deps);
  const sealer = createSealer(sealingKey, previousSealingKeys);
  const quoteKey = deriveKey(sealingKey, "quotes");
  const previousQuoteKeys = previousSealingKeys.map((key) => deriveKey(key, "quotes"));
  const { approval } = config.swap;
  const approvalSecret = "url" in approval ? readKey(approval.secret, "swap.approval.secret") : undefined;
  const auditKeys: AuditKeys = [
    deriveKey(sealingKey, "audit"),
    ...previousSealingKeys.map((key) => deriveKey(key, "audit")),
  ];
  const embedded =
    env.DATABASE_URL === undefined
      ? await startEmbeddedDatabase({ log, clock, dataDir: join(config.dataDir, "db") })
      : undefined;
  const connectionString = env.DATABASE_URL ?? embedded?.connectionString ?? "";
  // What a process locked that hangs is free again before others have waited for two leases.
  const idleInTransactionMs = Math.max(leastIdleMs, 1_500 * config.fleet.leaseSeconds);
  const bare = createDb({ connectionString, log, clock, idleInTransactionMs });
  await assertLetIn(bare);
  const db = deps.tracing ? tracedDb(bare, deps.tracing) : bare;
  return {
    ...{ db, connectionString, keyStore, sealer, quoteKey, previousQuoteKeys, approvalSecret, auditKeys },
    fingerprintKey: deriveKey(sealingKey, "configuration"),
    async close() {
      await db.close();
      await embedded?.close();
    },
  };
}

/** A server that does not answer may be there in a moment; one that refuses will go on refusing. Throws `config-invalid`. */
async function assertLetIn(db: PostgresDb): Promise<void> {
  try {
    await db.query("SELECT 1");
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) return;
    await db.close();
    throw new LockstepError("config-invalid", `DATABASE_URL: PostgreSQL says: ${refusal}`, {
      details: { field: "DATABASE_URL" },
    });
  }
}

/** Throws `config-invalid` with all that is wrong with any. */
async function readAllKeys(config: ServiceConfig, deps: { log: Log; clock: Clock }) {
  const previous = config.previousSealingKeys.map((source, at) => [`previousSealingKeys.${at}`, source] as const);
  const sealing = [["sealingKey", config.sealingKey] as const, ...previous];
  const read = await readEach<Redacted<Hex> | Signer>({
    ...accountReaders(config, deps),
    ...Object.fromEntries(sealing.map(([field, source]) => [field, () => readKey(source, field)])),
  });
  const keys = sealing.map(([field]) => redact(toBytes((read[field] as Redacted<Hex>).reveal())));
  const [sealingKey, ...previousSealingKeys] = keys;
  if (sealingKey === undefined) throw new LockstepError("internal", "the sealing key was not read");
  const named = Object.keys(config.accounts).map((name) => [name, read[fieldOf(name)] as Signer] as const);
  return { keyStore: createKeyStore(Object.fromEntries(named)), sealingKey, previousSealingKeys };
}
