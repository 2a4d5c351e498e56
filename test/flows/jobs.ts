import { readFileSync } from "node:fs";
import { createPostgresBackend, isPgPool, Queue } from "bullmq";
import { Redis } from "ioredis";
import { createPool } from "#core/db/pool.ts";
import { onServer, quietLog } from "#test/support/databases.ts";
import type { TestNetwork } from "#test/support/network.ts";

/** Ends every session on the service's database, as an administrator would. */
export function endSessions({ env }: TestNetwork): Promise<void> {
  const database = new URL(env.DATABASE_URL ?? "").pathname.slice(1);
  return onServer(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${database}'`);
}

/** BullMQ's queue, whatever it is on. */
export type Pausable = Pick<Queue, "add" | "pause" | "resume" | "close">;

/** Jobs of some kinds, as an operator has them. */
type Jobs = {
  readonly queues: readonly Pausable[];
  /** Throws away every job that waits; answers how many there were. */
  empty(): Promise<number>;
  /** How many there are that wait, for their next attempt too, or are worked on. */
  waiting(): Promise<number>;
  disconnect(): Promise<void>;
};

export function openJobs({ env, network }: Pick<TestNetwork, "env" | "network">, kinds: readonly string[]): Jobs {
  const { queuePrefix } = JSON.parse(readFileSync(network.layout.service, "utf8")) as { queuePrefix: string };
  return env.REDIS_URL
    ? jobsOnRedis(env.REDIS_URL, queuePrefix, kinds)
    : jobsOnPostgres(env.DATABASE_URL ?? "", queuePrefix, kinds);
}

const waitingIn = async (queues: readonly Pick<Queue, "getJobCountByTypes">[]) => {
  const counts = await Promise.all(queues.map((queue) => queue.getJobCountByTypes("waiting", "active", "delayed")));
  return counts.reduce((sum, count) => sum + count, 0);
};

function jobsOnRedis(url: string, prefix: string, kinds: readonly string[]): Jobs {
  const connection = new Redis(url, { maxRetriesPerRequest: null });
  const queues = kinds.map((kind) => new Queue(kind, { prefix, connection }));
  return {
    queues,
    async empty() {
      const counts = await Promise.all(queues.map((queue) => queue.count()));
      await Promise.all(queues.map((queue) => queue.drain(true)));
      return counts.reduce((sum, count) => sum + count, 0);
    },
    waiting: () => waitingIn(queues),
    disconnect: async () => connection.disconnect(),
  };
}

function jobsOnPostgres(connectionString: string, prefix: string, kinds: readonly string[]): Jobs {
  const pool = createPool({ connectionString, schema: "bullmq", log: quietLog });
  const connection: unknown = pool;
  if (!isPgPool(connection)) throw new TypeError("expected a pool of pg");
  const names = kinds.map((kind) => `${prefix}.${kind}`);
  const queues = names.map((name) => new Queue(name, { connection }, createPostgresBackend));
  return {
    queues,
    waiting: () => waitingIn(queues),
    async empty() {
      const { rowCount } = await pool.query("DELETE FROM job WHERE queue = ANY($1)", [names]);
      return rowCount ?? 0;
    },
    disconnect: () => pool.end(),
  };
}
