import { Queue, Worker } from "bullmq";
import { Cluster } from "ioredis";
import { LockstepError } from "../kernel/errors.ts";
import type { Log } from "../observe/log.ts";
import { connectRedis, type RedisClient } from "../redis/connect.ts";
import type { QueueBackend } from "./backend.ts";

/** Adding gives up after so many reconnections and leaves the retry to its caller; a worker waits for ever. */
const addRetries = 3;
/** Milliseconds after which a key that only asks is gone. */
const askedMs = 60_000;

/**
 * BullMQ on Redis, by itself, behind sentinels or as a cluster. In a cluster the keys of one queue share a slot, as its scripts
 * need, and different queues are spread over the nodes.
 */
export function createRedisBackend(options: { url: string; prefix: string; log: Log }): QueueBackend {
  const connect = (maxRetriesPerRequest: number | null, atOnce = false) => {
    const redis = connectRedis(options.url, { maxRetriesPerRequest, atOnce });
    redis.on("error", (error) => options.log.warn({ err: error }, "redis connection failed"));
    return redis;
  };
  const adding = connect(addRetries);
  let working: RedisClient | undefined;
  // BullMQ gives up for good on a connection that it begins itself and that is lost before it is ready, as in a fail-over;
  // one that is under way it waits for.
  const forWork = () => {
    working ??= connect(null, true);
    return working;
  };
  const prefixOf = (queue: string) => (adding instanceof Cluster ? `{${options.prefix}.${queue}}` : options.prefix);

  let isThere = false;

  return {
    async ready() {
      if (adding.status !== "ready") await adding.ping();
      if (!isThere) await assertDatabase(adding);
      isThere = true;
    },
    // One that takes no writes, as its memory is full or it is a replica by now, is of no use.
    ask: () => adding.set(`${options.prefix}:answers`, "1", "PX", askedMs),
    producer: (queue, rest) => new Queue(queue, { ...rest, prefix: prefixOf(queue), connection: adding }),
    consumer: (queue, process, rest) =>
      new Worker(queue, process, { ...rest, prefix: prefixOf(queue), connection: forWork() }),
    async close() {
      adding.disconnect();
      working?.disconnect();
    },
  };
}

/** A server that has no database of the number leaves a connection in the first one. Throws `config-invalid`. */
async function assertDatabase(redis: RedisClient): Promise<void> {
  if (redis instanceof Cluster) return;
  const wanted = redis.options.db ?? 0;
  // Servers before 6.2 do not say, and an account may not be allowed to ask.
  const info = await redis.client("INFO").catch(() => "");
  const found = /(?:^| )db=(\d+)/.exec(String(info))?.[1];
  if (found === undefined || Number(found) === wanted) return;
  throw new LockstepError("config-invalid", `REDIS_URL: this Redis has no database ${wanted}`, {
    details: { field: "REDIS_URL" },
  });
}
