import { readFileSync } from "node:fs";
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { type Credentials, parseRedisUrl, type RedisPlace, type RedisTls } from "../config/redisUrl.ts";
import { LockstepError } from "../kernel/errors.ts";

/** One Redis, whichever is primary by its sentinels, or a cluster of them: all take the same commands on one key. */
export type RedisClient = Redis | Cluster;

export type ConnectOptions = Pick<RedisOptions, "commandTimeout" | "connectTimeout" | "maxRetriesPerRequest"> & {
  readonly enableOfflineQueue?: boolean;
  readonly enableAutoPipelining?: boolean;
  /** One attempt, for who only looks whether it is there. */
  readonly once?: boolean;
  /** Connects now and not at the first command. */
  readonly atOnce?: boolean;
};

/** Milliseconds between two attempts, however many there were: a fail-over is over in seconds, and then nobody should wait. */
const mostRetryMs = 1_000;

/**
 * Milliseconds after which a server that owes an answer and says nothing is left: one that hangs, or is cut off. Workers wait
 * ten seconds at most in one command.
 */
const silenceMs = 15_000;
const retryMs = (times: number) => Math.min(50 * times, mostRetryMs);

/**
 * A client of the Redis at a URL as `parseRedisUrl` reads it; it connects at its first command unless told, and listens for errors is
 * the caller's to do. Throws `config-invalid` when a file that the URL names cannot be read.
 */
export function connectRedis(url: string, options: ConnectOptions = {}): RedisClient {
  const place = parseRedisUrl(url);
  const { enableOfflineQueue = true, enableAutoPipelining = false, once = false, atOnce = false, ...each } = options;
  const retryStrategy = once ? () => null : retryMs;
  const tls = place.tls && readFiles(place.tls);
  const common = { socketTimeout: silenceMs, ...each, ...authOf(place), ...(tls && { tls }) };
  const pace = { enableOfflineQueue, enableAutoPipelining, lazyConnect: !atOnce };
  if (place.kind === "cluster") {
    return new Cluster(
      place.nodes.map(({ host, port }) => ({ host, port })),
      {
        ...pace,
        clusterRetryStrategy: retryStrategy,
        redisOptions: common,
        // A cluster that has lost a primary answers so until a replica has taken its place.
        retryDelayOnClusterDown: 200,
        retryDelayOnFailover: 200,
        slotsRefreshTimeout: 2_000,
        // Certificates are for names, and cluster nodes may be told by them.
        ...(tls && { dnsLookup: (address, done) => done(null, address) }),
      },
    );
  }
  const [first] = place.nodes;
  const where: RedisOptions =
    place.kind === "sentinel"
      ? sentinelsOf(place, tls, once)
      : { ...(first && { host: first.host, port: first.port }) };
  const all = { ...common, ...pace, ...where, db: place.db, retryStrategy, replyMapping: "legacy" as const };
  return new Redis(all);
}

function sentinelsOf({ nodes, name, sentinel }: RedisPlace, tls: object | undefined, once: boolean): RedisOptions {
  const { username, password } = authOf({ ...sentinel });
  return {
    sentinels: nodes.map(({ host, port }) => ({ host, port })),
    ...(name !== undefined && { name }),
    ...(username !== undefined && { sentinelUsername: username }),
    ...(password !== undefined && { sentinelPassword: password }),
    // Not ioredis' own detector of fail-overs: one that comes while a client connects again ends that client for good.
    sentinelRetryStrategy: once ? () => null : retryMs,
    ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
  };
}

const authOf = ({ username, password }: Credentials) => ({
  ...(username !== undefined && { username }),
  ...(password !== undefined && { password: password.reveal() }),
});

function readFiles(files: RedisTls): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(files).map(([name, file]) => {
      try {
        return [name, readFileSync(file)];
      } catch (cause) {
        throw new LockstepError("config-invalid", `REDIS_URL: ${name}: the file cannot be read`, {
          details: { field: "REDIS_URL" },
          cause,
        });
      }
    }),
  );
}
