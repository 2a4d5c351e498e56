import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { answering, createServer, freePort, type RedisServer, type Server, startRedis } from "./servers.ts";
import { until } from "./until.ts";

/** Several servers, and what REDIS_URL says to use them. */
type RedisGroup = { readonly url: string; close(): Promise<void> };

export const sentinelPasswords = { data: "pass of the data", sentinel: "pass of sentinels" } as const;

/** A primary, a replica and three sentinels, all with passwords. */
export async function startSentinels(): Promise<
  RedisGroup & {
    readonly primary: RedisServer;
    readonly replica: RedisServer;
    readonly sentinels: readonly Server[];
    /** The port of the primary by the sentinels' word. */
    primaryPort(): Promise<number>;
  }
> {
  const password = sentinelPasswords.data;
  const primary = await startRedis({ password });
  const replica = await startRedis({ password, args: ["--replicaof", "127.0.0.1", String(primary.port)] });
  await until(() => replica.ask(async (redis) => /master_link_status:up/.test(await redis.info())), "a replica");
  const sentinels: Server[] = [];
  for (let each = 0; each < 3; each++) sentinels.push(await startSentinel(primary.port));
  const ask = <T>(work: (redis: Redis) => Promise<T>) => askSentinel(sentinels, work);
  for (const sentinel of sentinels) {
    await answering(() =>
      askSentinel([sentinel], async (redis) => {
        const quorum = String(await redis.call("SENTINEL", "ckquorum", "jobs"));
        const replicas = (await redis.call("SENTINEL", "replicas", "jobs")) as unknown[];
        if (!quorum.startsWith("OK 3") || replicas.length !== 1) throw new Error("not yet known to each other");
      }),
    );
  }
  const auth = `:${encodeURIComponent(password)}@`;
  const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
  return {
    url: `redis+sentinel://${auth}${hosts}/jobs?sentinelPassword=${encodeURIComponent(sentinelPasswords.sentinel)}`,
    ...{ primary, replica, sentinels },
    primaryPort: () =>
      ask(async (redis) => {
        const [, port] = (await redis.call("SENTINEL", "get-master-addr-by-name", "jobs")) as [string, string];
        return Number(port);
      }),
    async close() {
      for (const server of [...sentinels, replica, primary]) await server.stop();
    },
  };
}

async function askSentinel<T>(sentinels: readonly Server[], work: (redis: Redis) => Promise<T>): Promise<T> {
  const redis = new Redis({
    port: sentinels.at(-1)?.port ?? 0,
    password: sentinelPasswords.sentinel,
    ...{ lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 },
  });
  redis.on("error", () => undefined);
  try {
    return await work(redis);
  } finally {
    redis.disconnect();
  }
}

async function startSentinel(primary: number): Promise<Server> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "lockstep-test-sentinel-"));
  const file = join(folder, "sentinel.conf");
  const lines = [
    ...[`port ${port}`, "bind 127.0.0.1", `dir ${folder}`, `requirepass "${sentinelPasswords.sentinel}"`],
    `sentinel sentinel-pass "${sentinelPasswords.sentinel}"`,
    `sentinel monitor jobs 127.0.0.1 ${primary} 2`,
    `sentinel auth-pass jobs "${sentinelPasswords.data}"`,
    ...["sentinel down-after-milliseconds jobs 500", "sentinel failover-timeout jobs 3000"],
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  const server = createServer({
    ...{ port, url: `redis://127.0.0.1:${port}` },
    launch: () => spawn("redis-server", [file, "--sentinel"], { stdio: "ignore" }),
    look: () => askSentinel([{ port } as Server], (redis) => redis.ping()),
    clean: () => rmSync(folder, { recursive: true, force: true }),
  });
  await server.begin();
  return server;
}

/** A cluster of three primaries, with one replica each where they are asked for. */
export async function startCluster(
  replicas: 0 | 1,
): Promise<RedisGroup & { readonly nodes: readonly RedisServer[]; ownerOf(key: string): Promise<RedisServer> }> {
  const password = "pass of the cluster";
  const nodes = await Promise.all(
    Array.from({ length: 3 * (1 + replicas) }, async () => {
      const bus = await freePort();
      const args = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port", String(bus)];
      return startRedis({ password, args });
    }),
  );
  const hosts = nodes.map(({ port }) => `127.0.0.1:${port}`);
  const env = { ...process.env, REDISCLI_AUTH: password };
  const asked = ["--cluster", "create", ...hosts, "--cluster-replicas", String(replicas), "--cluster-yes"];
  execFileSync("redis-cli", asked, { stdio: "ignore", env });
  for (const node of nodes) {
    await answering(() =>
      node.ask(async (redis) => {
        const isWhole = /cluster_state:ok/.test(String(await redis.cluster("INFO")));
        const info = await redis.info("replication");
        // Only a replica that has everything takes its primary's place.
        const isFilled = !info.includes("master_link_status:down");
        const hasReplicas = info.includes("role:slave") || info.includes(`connected_slaves:${replicas}`);
        if (!isWhole || !isFilled || !hasReplicas) throw new Error("not yet a cluster");
      }),
    );
  }
  return {
    url: `redis+cluster://:${encodeURIComponent(password)}@${hosts.slice(0, 3).join(",")}`,
    nodes,
    async ownerOf(key) {
      for (const node of nodes) {
        const owns = await node
          // Only the owner of a key's slot answers for it.
          .ask(async (redis) => (await redis.role())[0] === "master" && (await redis.exists(key)) >= 0)
          .catch(() => false);
        if (owns) return node;
      }
      throw new Error("no node has the slot");
    },
    async close() {
      await Promise.all(nodes.map((node) => node.stop()));
    },
  };
}
