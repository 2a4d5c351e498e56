import { Queue, Worker } from "bullmq";
import { Redis } from "ioredis";
import type { Log } from "../observe/log.ts";
import type { QueueBackend } from "./backend.ts";

/** Adding gives up after so many reconnections and leaves the retry to its caller; a worker waits for ever. */
const addRetries = 3;

/** BullMQ on Redis, `redis://` or `rediss://`. */
export function createRedisBackend(options: { url: string; prefix: string; log: Log }): QueueBackend {
  const connect = (maxRetriesPerRequest: number | null) => {
    const redis = new Redis(options.url, { maxRetriesPerRequest, lazyConnect: true });
    redis.on("error", (error) => options.log.warn({ err: error }, "redis connection failed"));
    return redis;
  };
  const adding = connect(addRetries);
  const working = connect(null);
  const { prefix } = options;

  return {
    async ready() {
      if (adding.status !== "ready") await adding.ping();
    },
    producer: (queue, rest) => new Queue(queue, { ...rest, prefix, connection: adding }),
    consumer: (queue, process, rest) => new Worker(queue, process, { ...rest, prefix, connection: working }),
    async close() {
      adding.disconnect();
      working.disconnect();
    },
  };
}
