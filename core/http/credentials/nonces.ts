import type { Db } from "../../db/db.ts";
import type { Clock } from "../../kernel/clock.ts";
import { LockstepError } from "../../kernel/errors.ts";
import type { Log } from "../../observe/log.ts";
import { connectRedis } from "../../redis/connect.ts";

/**
 * Nonces of signed requests, shared by all processes of a service and there after a restart: what only one process
 * remembers could be sent again to another.
 */
export type SeenNonces = {
  /** True for whoever comes first. Remembered until then, in milliseconds since 1970. Throws `replay-check-unreachable`. */
  claim(keyId: string, nonce: string, until: number): Promise<boolean>;
  close(): Promise<void>;
};

const sweepMs = 60_000;
const redisTimeoutMs = 2_000;

/** In the database: one insertion a signed request. */
export function createDatabaseNonces({ db, clock, log }: { db: Db; clock: Clock; log: Log }): SeenNonces {
  let sweptAt = clock.now();
  return {
    async claim(keyId, nonce, until) {
      const now = clock.now();
      if (now - sweptAt > sweepMs) {
        sweptAt = now;
        db.query("DELETE FROM request_nonces WHERE until < $1", [new Date(now)]).catch((error: unknown) =>
          log.debug({ err: error }, "old nonces were not removed"),
        );
      }
      const rows = await db.query(
        "INSERT INTO request_nonces (key_id, nonce, until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING nonce",
        [keyId, nonce, new Date(until)],
      );
      return rows.length === 1;
    },
    close: async () => undefined,
  };
}

/** In Redis, which forgets them by itself. When it does not answer nobody is let in: a replay could not be told. */
export function createRedisNonces(deps: { url: string; prefix: string; clock: Clock; log: Log }): SeenNonces {
  const { prefix, clock, log } = deps;
  const redis = connectRedis(deps.url, { maxRetriesPerRequest: 1, commandTimeout: redisTimeoutMs });
  redis.on("error", (error) => log.warn({ err: error }, "redis connection failed"));
  return {
    async claim(keyId, nonce, until) {
      const leftMs = Math.max(1, Math.ceil(until - clock.now()));
      try {
        return (await redis.set(`${prefix}:nonce:${keyId}:${nonce}`, "1", "PX", leftMs, "NX")) === "OK";
      } catch (cause) {
        throw new LockstepError(
          "replay-check-unreachable",
          "it cannot be told whether the signed request was sent before",
          { cause },
        );
      }
    },
    async close() {
      redis.disconnect();
    },
  };
}
