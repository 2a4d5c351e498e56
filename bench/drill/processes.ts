import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLedger, type Ledger } from "#app/demo/ledger.ts";
import { type Network, startNetwork } from "#app/network/network.ts";
import type { Unit } from "#app/network/unit.ts";
import type { Role } from "#core/config/service.ts";
import { type Member, startMember } from "#test/support/fleet.ts";
import { startPostgres } from "#test/support/postgresServers.ts";
import { type RpcProxy, startRpcProxy } from "#test/support/rpcProxy.ts";
import { type Server, startRedis } from "#test/support/servers.ts";
import { startTcpProxy, type TcpProxy } from "#test/support/tcpProxy.ts";

/** A process of the drill: what is done to it, and how it is there again. */
type Process = {
  readonly name: string;
  /** Killed at once, and started again after so many milliseconds. */
  kill(downMs: number): Promise<void>;
  /** Stopped as a whole for so long. */
  pause(ms: number): Promise<void>;
};

/** One of the service's: its own ways to the stores can be cut. */
type ServiceProcess = Process & {
  readonly ways: Readonly<Record<"PostgreSQL" | "Redis", TcpProxy>>;
  member(): Member;
};

export type World = {
  readonly network: Network;
  readonly ledger: Ledger;
  readonly services: readonly ServiceProcess[];
  readonly validators: readonly Process[];
  readonly postgres: Server;
  readonly redis: Server & { empty(): Promise<void> };
  readonly endpoints: ReadonlyMap<string, RpcProxy>;
  close(): Promise<void>;
};

/** Two of each, which is the least that shows how one goes on without the other. */
const fleet: readonly (readonly [string, Role])[] = (["indexer", "relayer", "swapper", "api"] as const).flatMap(
  (role) => [1, 2].map((at) => [`${role}-${at}`, role] as const),
);
const validatorCount = 4;
/** Blocks that are still taken back now and then. */
export const finalityBlocks = 12;
/** What swaps allow for everything that the drill does to processes. */
const reactionSeconds = 15;
const leaseSeconds = 2;

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export async function openWorld(): Promise<World> {
  const closing: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const each of closing.splice(0).reverse()) await each();
  };
  try {
    return { ...(await open(closing)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(closing: (() => Promise<void>)[]): Promise<Omit<World, "close">> {
  const dataDir = mkdtempSync(join(tmpdir(), "lockstep-drill-"));
  closing.push(async () => rmSync(dataDir, { recursive: true, force: true }));
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  closing.push(postgres.stop, redis.stop);
  const endpoints = new Map<string, RpcProxy>();
  closing.push(async () => {
    for (const proxy of endpoints.values()) await proxy.close();
  });
  const network = await startNetwork({
    ...{ dataDir, ports: { api: 0, alpha: 0, beta: 0, validators: 0 }, say: () => undefined },
    ...{ finalityBlocks, validators: validatorCount },
    serviceEnv: { DATABASE_URL: postgres.url, REDIS_URL: redis.url },
    async endpointOf(chain, url) {
      const proxy = await startRpcProxy(url);
      endpoints.set(chain, proxy);
      return proxy.url;
    },
  });
  closing.push(network.stop);
  // Its configuration is what the fleet has, and its port is that of the first that takes requests.
  await network.service.stop();
  const config = JSON.parse(readFileSync(network.layout.service, "utf8"));
  const swap = { ...config.swap, reactionSeconds };
  writeFileSync(network.layout.service, JSON.stringify({ ...config, swap, fleet: { leaseSeconds } }));
  const services: ServiceProcess[] = [];
  for (const [name, role] of fleet) {
    const process = await startService(network, { postgres, redis }, name, role);
    services.push(process);
    closing.push(async () => {
      await process.member().stop();
      for (const way of Object.values(process.ways)) await way.close();
    });
  }
  const validators = network.validators.map(validatorProcess);
  return { network, ledger: createLedger(network), services, validators, postgres, redis, endpoints };
}

async function startService(
  network: Network,
  servers: { postgres: Server; redis: Server },
  name: string,
  role: Role,
): Promise<ServiceProcess> {
  const [toPostgres, toRedis] = await Promise.all(
    [servers.postgres, servers.redis].map(({ port }) => startTcpProxy({ host: "127.0.0.1", port })),
  );
  if (!toPostgres || !toRedis) throw new Error("a way to a store is missing");
  const env = {
    DATABASE_URL: `postgres://postgres@127.0.0.1:${toPostgres.port}/postgres`,
    REDIS_URL: `redis://127.0.0.1:${toRedis.port}`,
    LOCKSTEP_LOG_LEVEL: "info",
  };
  const port = name === "api-1" ? { port: Number(new URL(network.api).port) } : {};
  const start = () => startMember({ network, env }, name, { roles: [role], ...port });
  let member = await start();
  return {
    name,
    ways: { PostgreSQL: toPostgres, Redis: toRedis },
    member: () => member,
    async kill(downMs) {
      await member.kill();
      await wait(downMs);
      // As whoever keeps processes going does: until it stands.
      for (;;) {
        const started = await start().catch(() => undefined);
        if (!started) continue;
        member = started;
        return;
      }
    },
    async pause(ms) {
      member.pause();
      await wait(ms);
      member.goOn();
    },
  };
}

function validatorProcess(unit: Unit): Process {
  return {
    name: unit.name,
    async kill(downMs) {
      await unit.kill();
      await wait(downMs);
      await unit.start();
    },
    async pause(ms) {
      unit.signal("SIGSTOP");
      await wait(ms);
      unit.signal("SIGCONT");
    },
  };
}
