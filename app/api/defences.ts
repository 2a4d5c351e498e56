import type { Env } from "#core/config/env.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import type { Db } from "#core/db/db.ts";
import { auditRequests } from "#core/http/audit/auditRequests.ts";
import { type AuditKeys, type AuditLog, createAuditLog } from "#core/http/audit/log.ts";
import type { Idempotency } from "#core/http/idempotency/answerOnce.ts";
import { createIdempotencyKeys } from "#core/http/idempotency/keys.ts";
import type { Buckets } from "#core/http/rate/buckets.ts";
import { withFallback } from "#core/http/rate/fallback.ts";
import { limitAddresses, limitCallers } from "#core/http/rate/limitRate.ts";
import { createMemoryBuckets } from "#core/http/rate/memory.ts";
import { createRedisBuckets } from "#core/http/rate/redis.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Mark } from "#core/kernel/mark.ts";
import type { Sealer } from "#core/kernel/seal.ts";
import type { Log } from "#core/observe/log.ts";
import type { LiveConfig } from "../liveConfig.ts";

/** How often what was refused to nobody known is written to the audit, in milliseconds. */
const flushMs = 60_000;

type Deps = {
  config: ServiceConfig;
  live: Pick<LiveConfig, "now">;
  env: Env;
  db: Db;
  sealer: Sealer;
  auditKeys: AuditKeys;
  clock: Clock;
  log: Log;
  mark: Mark;
};

/** What stands between requests and their handlers besides the proof of who sends them. */
export type Defences = {
  readonly idempotency: Idempotency;
  readonly audit: AuditLog;
  /** Before anything finds out who sends a request. */
  beforeGuard(app: HttpServer): void;
  /** Once that is known. */
  afterGuard(app: HttpServer): void;
  start(): void;
  stop(): Promise<void>;
};

export function createDefences({ config, live, env, db, sealer, auditKeys, clock, log, mark }: Deps): Defences {
  const keys = createIdempotencyKeys({ db, sealer, log, clock, keptMs: config.retention.idempotencyHours * 3_600_000 });
  const audit = createAuditLog({ db, keys: auditKeys });
  const shared = env.REDIS_URL && createRedisBuckets({ url: env.REDIS_URL, prefix: config.queuePrefix, log });
  const own = createMemoryBuckets({ clock });
  const buckets: Buckets = shared ? withFallback({ shared, own, clock, log }) : own;
  const rates = { buckets, config: () => live.now().http.rateLimit };
  let flush = async () => undefined as unknown;
  let loop: Loop | undefined;
  return {
    ...{ idempotency: { keys, mark }, audit },
    beforeGuard: (app) => limitAddresses(app, rates),
    afterGuard(app) {
      limitCallers(app, rates);
      flush = auditRequests(app, { audit, clock, log }).flush;
    },
    start() {
      audit.reseal().catch((error: unknown) => log.warn({ err: error }, "the head of the audit was not sealed anew"));
      keys.start();
      const step = async () => {
        await flush();
        return "idle" as const;
      };
      const onError = (error: unknown) => log.warn({ err: error }, "refusals could not be written to the audit");
      loop = startLoop({ step, clock, idleMs: flushMs, onError });
    },
    async stop() {
      await loop?.stop();
      await flush().catch((error: unknown) => log.warn({ err: error }, "refusals could not be written to the audit"));
      await keys.stop();
      if (shared) await shared.close();
    },
  };
}
