import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { composeService } from "#app/compose.ts";
import { serviceConfigSchema } from "#core/config/service.ts";
import { startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { createDb, type PostgresDb } from "#core/db/postgres.ts";
import { createMetrics } from "#core/observe/metrics.ts";
import { gaugeValidator } from "#relay/metrics.ts";
import { startBareChain } from "#test/support/bareChain.ts";
import { onServer, postgresAnswers, postgresServer, quietLog } from "#test/support/databases.ts";

export const validator = { name: "v", address: `0x${"33".repeat(20)}` } as const;

/** A service with every role that is composed and never started, on two chains that say next to nothing. */
export type Composed = {
  readonly db: PostgresDb;
  /** What `GET /metrics` answers. */
  scrape(): Promise<string>;
  close(): Promise<void>;
};

export async function compose(): Promise<Composed> {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-metrics-"));
  const database = await openOwnDatabase();
  const chains = await Promise.all([startBareChain(1), startBareChain(2)]);
  const key = (name: string, digit: string) => {
    const file = join(folder, name);
    writeFileSync(file, `0x${digit.repeat(64)}`);
    return { file };
  };
  const [alpha, beta] = chains.map(({ url }, i) => ({
    ...{ chainId: i + 1, endpoints: [url], finality: { blocks: 0 } },
    ...{ blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1 },
    ...{ gateway: `0x${"11".repeat(20)}`, timelock: `0x${"22".repeat(20)}` },
  }));
  const config = serviceConfigSchema.parse({
    ...{ dataDir: folder, http: { port: 0 }, chains: { alpha, beta } },
    accounts: { alice: key("alice", "1"), bob: key("bob", "2") },
    sealingKey: key("sealing", "4"),
    relay: { account: "bob", validators: [{ ...validator, url: "http://127.0.0.1:1" }] },
    swap: { reactionSeconds: 5 },
  });
  const { connectionString } = database;
  // No replica, which is all the same to what is told of one.
  const urls = { DATABASE_URL: connectionString, DATABASE_READ_URL: connectionString };
  const env = { ...urls, LOCKSTEP_LOG_LEVEL: "silent" } as const;
  const service = await composeService(config, env, { log: quietLog });
  const app = await service.http();
  const db = createDb({ connectionString: database.connectionString, log: quietLog });
  return {
    db,
    async scrape() {
      // What a request leaves behind is there with the one after it.
      await app.inject("/health/live");
      return (await app.inject("/metrics")).body;
    },
    async close() {
      await app.close();
      await service.stop();
      await db.close();
      for (const chain of chains) await chain.close();
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A service has its tables in one schema by one name, and what it counts is everything there. */
async function openOwnDatabase(): Promise<{ connectionString: string; close(): Promise<void> }> {
  if (!(await postgresAnswers())) return startEmbeddedDatabase({ log: quietLog, background: true });
  const name = `lockstep_test_${randomBytes(6).toString("hex")}`;
  await onServer(`CREATE DATABASE ${name}`);
  return {
    connectionString: new URL(name, postgresServer).href,
    close: () => onServer(`DROP DATABASE ${name} WITH (FORCE)`),
  };
}

/** What a validator tells besides what it tells of its endpoints as a service does. */
export async function scrapeValidator(): Promise<string> {
  const metrics = createMetrics();
  gaugeValidator(metrics, () => ({
    ...{ name: "v", status: "following" },
    chains: [{ chain: "alpha", height: 7n, following: true, endpoints: [] }],
    lanes: [{ origin: "alpha", destination: "beta", head: 3n, signed: 2n, generation: 0 }],
  }));
  return (await metrics.text()).body;
}
