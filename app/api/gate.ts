import type { ServiceConfig } from "#core/config/service.ts";
import type { Db } from "#core/db/db.ts";
import { admitOrigins } from "#core/http/browsers.ts";
import { type ApiKeys, createApiKeys } from "#core/http/credentials/apiKeys.ts";
import { apiKeyAuthenticator } from "#core/http/credentials/bearer.ts";
import { watchBodies } from "#core/http/credentials/bodyDigests.ts";
import { certificateAuthenticator } from "#core/http/credentials/certificates.ts";
import { hmacAuthenticator } from "#core/http/credentials/hmac.ts";
import { createJwks } from "#core/http/credentials/jwks.ts";
import { jwtAuthenticator } from "#core/http/credentials/jwt.ts";
import { createDatabaseNonces, createRedisNonces } from "#core/http/credentials/nonces.ts";
import { guardRoutes } from "#core/http/guard.ts";
import { localAuthenticator, refusePages } from "#core/http/localOnly.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Sealer } from "#core/kernel/seal.ts";
import type { Log } from "#core/observe/log.ts";
import type { LiveConfig } from "../liveConfig.ts";
import { ensureToken } from "../token.ts";

/** Who is let in to the API. */
export type Gate = {
  readonly keys: ApiKeys;
  /** To be called before the routes are added. */
  guard(app: HttpServer): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
};

type Deps = {
  config: Pick<ServiceConfig, "http" | "dataDir" | "queuePrefix" | "accounts">;
  live: Pick<LiveConfig, "now">;
  /** Where nonces of signed requests are kept; in the database where this is left out. */
  redisUrl?: string | undefined;
  db: Db;
  sealer: Sealer;
  clock: Clock;
  log: Log;
};

/**
 * Without `http.access` whoever is on this machine may look, and the start-up token may do everything; with it callers
 * prove who they are, and that token is worth nothing. Throws `config-invalid` for a key set that cannot be read.
 */
export function createGate(deps: Deps): Gate {
  const { config, db, clock, log } = deps;
  const { access, cors } = config.http;
  const rules = () => deps.live.now().http.access?.certificates ?? [];
  const keys = createApiKeys({ ...deps, accounts: Object.keys(config.accounts) });
  const nonces =
    deps.redisUrl === undefined
      ? createDatabaseNonces({ db, clock, log })
      : createRedisNonces({ url: deps.redisUrl, prefix: config.queuePrefix, clock, log });
  return {
    keys,
    async guard(app) {
      if (!access) {
        log.info({}, "local mode: only this machine is served, and what changes something takes the start-up token");
        refusePages(app);
        return guardRoutes(app, [localAuthenticator(ensureToken(config.dataDir))]);
      }
      await admitOrigins(app, cors?.origins ?? []);
      const bodies = watchBodies(app);
      const { jwt, signatureWindowSeconds: windowSeconds } = access;
      guardRoutes(app, [
        hmacAuthenticator({ keys, nonces, bodies, clock, windowSeconds }),
        apiKeyAuthenticator({ keys, clock }),
        ...(jwt ? [jwtAuthenticator({ config: jwt, keys: createJwks(jwt.jwks, clock), clock })] : []),
        ...(config.http.tls?.clientCaFile ? [certificateAuthenticator({ rules, clock })] : []),
      ]);
    },
    start: keys.start,
    async stop() {
      await keys.stop();
      await nonces.close();
    },
  };
}
