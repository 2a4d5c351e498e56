import { join } from "node:path";
import { toBytes } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { ChainAccess } from "#core/chain/chain.ts";
import { createChain } from "#core/chain/createChain.ts";
import type { EndpointEvent } from "#core/chain/endpoint.ts";
import { createKeyStore, type KeyStore } from "#core/chain/keys.ts";
import { readKey } from "#core/config/accounts.ts";
import type { Env } from "#core/config/env.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import { startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { createDb, type PostgresDb } from "#core/db/postgres.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer, type Sealer } from "#core/kernel/seal.ts";
import type { Log } from "#core/observe/log.ts";

/** What both contexts stand on and nothing is decided in: database, chains, keys. */
export type Foundation = {
  readonly db: PostgresDb;
  readonly connectionString: string;
  readonly chains: Readonly<Record<string, ChainAccess>>;
  readonly keyStore: KeyStore;
  readonly sealer: Sealer;
  close(): Promise<void>;
};

/**
 * Opens the database (embedded without DATABASE_URL), reads the keys, and checks that each chain is the one that is
 * configured. Throws `config-invalid`, `data-folder-in-use`, `database-unreachable` or `chain-id-mismatch`.
 */
export async function layFoundation(
  config: ServiceConfig,
  env: Env,
  deps: { log: Log; clock: Clock; onEndpointEvent?: (event: EndpointEvent) => void },
): Promise<Foundation> {
  const { log, clock } = deps;
  const accounts = Object.entries(config.accounts).map(
    ([name, source]) => [name, readKey(source, `accounts.${name}`)] as const,
  );
  const keyStore = createKeyStore(Object.fromEntries(accounts));
  const sealer = createSealer(redact(toBytes(readKey(config.sealingKey, "sealingKey").reveal())));
  const chains = await connectChains(config, deps);
  const embedded =
    env.DATABASE_URL === undefined
      ? await startEmbeddedDatabase({ log, clock, dataDir: join(config.dataDir, "db") })
      : undefined;
  const connectionString = env.DATABASE_URL ?? embedded?.connectionString ?? "";
  const db = createDb({ connectionString, log, clock });
  return {
    ...{ db, connectionString, chains, keyStore, sealer },
    async close() {
      await db.close();
      await embedded?.close();
    },
  };
}

async function connectChains(
  config: ServiceConfig,
  deps: { log: Log; clock: Clock; onEndpointEvent?: (event: EndpointEvent) => void },
): Promise<Record<string, ChainAccess>> {
  const errorsAbi = [...gatewayAbi, ...hashedTimelockAbi];
  const chains = Object.entries(config.chains).map(([name, chain]) =>
    createChain({ name, ...chain }, { ...deps, errorsAbi }),
  );
  await Promise.all(chains.map((chain) => chain.verifyIdentity()));
  return Object.fromEntries(chains.map((chain) => [chain.name, chain]));
}
