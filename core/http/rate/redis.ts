import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../observe/log.ts";
import { connectRedis, type RedisClient } from "../../redis/connect.ts";
import { type Buckets, takenOf, tokenMicros } from "./buckets.ts";

/** `takeToken` in one step of the server, by its own time where none is given. A full bucket is one that is not there. */
const script = `
local now = tonumber(ARGV[3])
if now < 0 then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local token = tonumber(ARGV[1])
local whole = tonumber(ARGV[2])
local before = tonumber(redis.call('GET', KEYS[1]) or 0)
if before < now then before = now end
local after = before + token
if after - now > whole then return {0, string.format('%.0f', before - now)} end
redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil(tonumber(ARGV[4]) / 1000))
return {1, string.format('%.0f', after - now)}
`;

type Scripted = RedisClient & {
  takeToken(key: string, token: number, whole: number, now: number, life: number): Promise<[number, string]>;
};

/**
 * Buckets that all processes on one Redis share. Throws when it does not answer within `patienceMs`. `clock`: time of
 * tests instead of the server's.
 */
export function createRedisBuckets(options: {
  url: string;
  prefix: string;
  log: Log;
  patienceMs?: number;
  clock?: Clock;
}): Buckets & { close(): Promise<void> } {
  const { url, prefix, log, patienceMs = 100, clock } = options;
  const redis = connectRedis(url, {
    ...{ enableOfflineQueue: false, enableAutoPipelining: true },
    ...{ maxRetriesPerRequest: 0, commandTimeout: patienceMs, connectTimeout: 2_000 },
  }) as Scripted;
  redis.on("error", (error) => log.debug({ err: error }, "redis connection of the rate limits failed"));
  redis.defineCommand("takeToken", { numberOfKeys: 1, lua: script });
  const connected = redis.connect().catch(() => undefined);
  return {
    async take(key, policy) {
      const token = tokenMicros(policy);
      const whole = policy.burst * token;
      const now = clock ? clock.now() * 1_000 : -1;
      // With time of its own a bucket may stand still for as long as the test likes.
      const life = clock ? 3_600_000_000 : whole;
      const [allowed, missing] = await redis.takeToken(`${prefix}:rate:${key}`, token, whole, now, life);
      return takenOf(allowed === 1, Number(missing), token, whole);
    },
    async close() {
      await connected;
      redis.disconnect();
    },
  };
}
