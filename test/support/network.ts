import { randomBytes } from "node:crypto";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Redis } from "ioredis";
import { createApiClient } from "#app/demo/api.ts";
import { createLedger, type Ledger } from "#app/demo/ledger.ts";
import { type Network, type NetworkOptions, startNetwork } from "#app/network/network.ts";
import { startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { onServer, postgresAnswers, postgresServer, quietLog } from "./databases.ts";
import { networkPorts } from "./ports.ts";
import { redisAnswers, redisUrl } from "./queues.ts";
import { startTcpProxy, type TcpProxy } from "./tcpProxy.ts";

/** The ways to servers by the names of the variables that lead there. */
type Proxies = ReadonlyMap<string, TcpProxy>;

type Stores = { readonly env: Record<string, string>; readonly proxies: Proxies; close(): Promise<void> };

/** What a service keeps its data and its jobs in. */
export type Home = { readonly name: string; open(dataDir: string): Promise<Stores> };

/** Without these set, whatever the machine's own environment says. */
const bare = { DATABASE_URL: "", REDIS_URL: "" };

export const embeddedHome: Home = {
  name: "the embedded database",
  async open(dataDir) {
    emptyDatabase ??= createEmptyDatabase();
    cpSync(await emptyDatabase, join(dataDir, "db"), { recursive: true });
    return { env: bare, proxies: new Map(), close: async () => undefined };
  },
};

let emptyDatabase: Promise<string> | undefined;

/** A folder to copy from: to make one anew takes longer than all the rest of a network. */
async function createEmptyDatabase(): Promise<string> {
  const dataDir = mkdtempSync(join(tmpdir(), "lockstep-test-empty-"));
  process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));
  const database = await startEmbeddedDatabase({ log: quietLog, dataDir });
  await database.close();
  return dataDir;
}

const postgres: Home = { name: "PostgreSQL", open: openPostgres };

const postgresAndRedis: Home = {
  name: "PostgreSQL and Redis",
  open: (dataDir) => openPostgres(dataDir, { REDIS_URL: redisUrl }),
};

/** Defines the same cases for every home that this machine has; the others are reported as skipped by name. */
export async function forEachHome(name: string, define: (home: Home) => void): Promise<void> {
  describe(`${name} on ${embeddedHome.name}`, () => define(embeddedHome));
  const [database, queue] = await Promise.all([postgresAnswers(), redisAnswers()]);
  for (const [home, there] of [
    [postgres, database],
    [postgresAndRedis, database && queue],
  ] as const) {
    describe(`${name} on ${home.name}`, () => {
      if (there) define(home);
      else it(`${name} on ${home.name}`, { skip: "no server at 127.0.0.1" }, () => undefined);
    });
  }
}

/** The home for tests to which it makes no difference: PostgreSQL where it answers, as whole networks start quicker on it. */
export async function anyHome(): Promise<Home> {
  return (await postgresAnswers()) ? postgres : embeddedHome;
}

export type TestNetwork = {
  readonly network: Network;
  readonly api: ReturnType<typeof createApiClient>;
  readonly ledger: Ledger;
  /** Environment of the service, with where its database is. */
  readonly env: Readonly<Record<string, string>>;
  readonly proxies: Proxies;
  close(): Promise<void>;
};

/**
 * The network of a home that all suites share which ask for it, here where they are defined; it ends with the last of
 * them. They find in it what others left, and leave everything running.
 */
export function shareNetwork(home: Home): () => TestNetwork {
  const shared = sharedNetworks.get(home) ?? { users: 0 };
  sharedNetworks.set(home, shared);
  shared.users++;
  let test: TestNetwork | undefined;
  before(async () => {
    shared.opening ??= openNetwork(home);
    test = await shared.opening;
  });
  after(async () => {
    if (--shared.users === 0) await test?.close();
  });
  return () => {
    if (!test) throw new Error("the network is there when the cases run");
    return test;
  };
}

const sharedNetworks = new Map<Home, { users: number; opening?: Promise<TestNetwork> }>();

/** A whole local network on free ports and in a folder of its own. */
export async function openNetwork(home?: Home, options: Partial<NetworkOptions> = {}): Promise<TestNetwork> {
  const dataDir = mkdtempSync(join(tmpdir(), "lockstep-test-"));
  const stores = await (home ?? (await anyHome())).open(dataDir);
  const clean = async () => {
    await stores.close();
    rmSync(dataDir, { recursive: true, force: true });
  };
  const ports = networkPorts();
  const serviceEnv = { LOCKSTEP_LOG_LEVEL: "debug", ...stores.env };
  try {
    const network = await startNetwork({ dataDir, ports, say: () => undefined, ...options, serviceEnv });
    return {
      network,
      api: createApiClient({ url: network.api, token: network.token() }),
      ledger: createLedger(network),
      env: stores.env,
      proxies: stores.proxies,
      async close() {
        await network.stop();
        await clean();
      },
    };
  } catch (error) {
    await clean();
    throw error;
  }
}

/** Behind proxies, so that the way there can be cut. */
async function openPostgres(dataDir: string, servers: Record<string, string> = {}): Promise<Stores> {
  const name = `lockstep_test_${randomBytes(6).toString("hex")}`;
  await onServer(`CREATE DATABASE ${name}`);
  const env: Record<string, string> = { ...bare };
  const proxies = new Map<string, TcpProxy>();
  for (const [variable, address] of Object.entries({ DATABASE_URL: postgresServer, ...servers })) {
    const url = new URL(address);
    const proxy = await startTcpProxy({ host: url.hostname, port: Number(url.port) });
    proxies.set(variable, proxy);
    url.port = String(proxy.port);
    if (variable === "DATABASE_URL") url.pathname = name;
    env[variable] = url.href;
  }
  return {
    env,
    proxies,
    async close() {
      await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
      for (const proxy of proxies.values()) await proxy.close();
      if (servers.REDIS_URL) await dropKeys(servers.REDIS_URL, join(dataDir, "service.json"));
    },
  };
}

/** Only those of the one network: others may be running. */
async function dropKeys(url: string, settings: string): Promise<void> {
  if (!existsSync(settings)) return;
  const { queuePrefix } = JSON.parse(readFileSync(settings, "utf8")) as { queuePrefix: string };
  const redis = new Redis(url);
  const keys = await redis.keys(`${queuePrefix}*`);
  if (keys.length > 0) await redis.del(...keys);
  await redis.quit();
}
