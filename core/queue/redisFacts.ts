import { LockstepError } from "../kernel/errors.ts";
import { connectRedis } from "../redis/connect.ts";

export type RedisFacts = { readonly version: string; readonly maxmemoryPolicy: string | undefined };

const answerMs = 5_000;

/** What a Redis says of itself. Throws `queue-unreachable`. */
export async function readRedisFacts(url: string): Promise<RedisFacts> {
  const redis = connectRedis(url, {
    ...{ connectTimeout: answerMs, commandTimeout: answerMs, maxRetriesPerRequest: 0, once: true },
  });
  redis.on("error", () => undefined);
  try {
    await redis.connect();
    const info = await redis.info();
    const field = (name: string) => new RegExp(`^${name}:(.+?)\\r?$`, "m").exec(info)?.[1];
    return { version: field("redis_version") ?? "unknown", maxmemoryPolicy: field("maxmemory_policy") };
  } catch (error) {
    const why = error instanceof Error && error.message !== "" ? `: ${error.message}` : "";
    throw new LockstepError("queue-unreachable", `Redis does not answer${why}`, { cause: error });
  } finally {
    redis.disconnect();
  }
}
