import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { Redis } from "ioredis";
import { createQueue, type QueueDeps } from "#core/queue/bullQueue.ts";
import type { Queue } from "#core/queue/queue.ts";
import { type DatabaseBackend, forEachDatabase, quietLog } from "./databases.ts";
import { isRequired } from "./required.ts";

export const redisUrl = "redis://127.0.0.1:6379";

/** An empty work queue of its own: key prefix on Redis, database or queue names on PostgreSQL. */
export type OpenQueue = {
  readonly queue: Queue;
  /** How `createQueue` is called for it, without the log; for another process. */
  readonly deps: Omit<QueueDeps, "log"> & ({ redisUrl: string } | { connectionString: string });
  /** A further `Queue` on the same jobs; closed by `close`. */
  another(): Queue;
  /** Throws away every job, as an operator might. */
  empty(): Promise<void>;
  close(): Promise<void>;
};

export type QueueBackendCase = { readonly name: string; open(): Promise<OpenQueue> };

/** Short enough for a test to wait for. */
const quick = { stalledMs: 1_000, backoff: { firstMs: 20, maxMs: 100 } };

/**
 * Runs the same cases on every work queue that is available: PGlite always, PostgreSQL and Redis where they answer,
 * otherwise one case by their name is reported as skipped.
 */
export async function forEachQueue(name: string, define: (backend: QueueBackendCase) => void): Promise<void> {
  await forEachDatabase(name, (database) => define({ name: database.name, open: () => openOnDatabase(database) }));
  const answers = await redisAnswers();
  describe(`${name} on redis`, () => {
    if (answers) define({ name: "redis", open: openOnRedis });
    else it(`${name} on redis`, { skip: "no Redis at 127.0.0.1:6379" }, () => undefined);
  });
}

async function openOnDatabase(backend: DatabaseBackend): Promise<OpenQueue> {
  const database = await backend.open();
  const prefix = `test_${randomBytes(6).toString("hex")}`;
  const deps = { connectionString: database.connectionString, prefix, ...quick };
  const empty = async () => {
    await database.db.query("DELETE FROM bullmq.job WHERE starts_with(queue, $1)", [prefix]);
  };
  return opened(deps, empty, async () => {
    await empty();
    await database.close();
  });
}

async function openOnRedis(): Promise<OpenQueue> {
  const prefix = `lockstep_test_${randomBytes(6).toString("hex")}`;
  const redis = new Redis(redisUrl);
  const empty = async () => {
    const keys = await redis.keys(`${prefix}*`);
    if (keys.length > 0) await redis.del(...keys);
  };
  return opened({ redisUrl, prefix, ...quick }, empty, async () => {
    await empty();
    await redis.quit();
  });
}

function opened(deps: OpenQueue["deps"], empty: () => Promise<void>, afterClose: () => Promise<void>): OpenQueue {
  const all: Queue[] = [];
  const another = () => {
    const queue = createQueue({ ...deps, log: quietLog });
    all.push(queue);
    return queue;
  };
  return {
    queue: another(),
    deps,
    another,
    empty,
    async close() {
      await Promise.all(all.map((queue) => queue.close()));
      await afterClose();
    },
  };
}

export async function redisAnswers(): Promise<boolean> {
  const redis = new Redis(redisUrl, { lazyConnect: true, retryStrategy: () => null });
  redis.on("error", () => undefined);
  try {
    await redis.ping();
    return true;
  } catch (error) {
    if (isRequired("redis")) throw error;
    return false;
  } finally {
    redis.disconnect();
  }
}
