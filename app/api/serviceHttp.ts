import type { ChainAccess } from "#core/chain/chain.ts";
import type { Observations } from "#core/chain/observations.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import type { Db } from "#core/db/db.ts";
import { createHealthRoutes, type HealthCheck } from "#core/http/health.ts";
import { defendLocally } from "#core/http/localOnly.ts";
import { serveMetrics } from "#core/http/metrics.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import type { Indexer } from "#core/indexer/createIndexer.ts";
import type { Live } from "#core/kernel/live.ts";
import type { Roster } from "#core/kernel/roster.ts";
import type { Log } from "#core/observe/log.ts";
import type { Metrics } from "#core/observe/metrics.ts";
import type { RunningSender } from "#core/sender/createSender.ts";
import type { Part } from "../lifecycle.ts";
import type { RegistryChanges } from "../registry/changes.ts";
import type { Registry } from "../registry/registry.ts";
import { ensureToken } from "../token.ts";
import { chainChecks } from "./chainChecks.ts";
import { createChainRoutes } from "./chains.ts";
import { createLaneRoutes } from "./lanes.ts";
import { senderCheck } from "./senderCheck.ts";
import { createStateRoutes } from "./state.ts";

type Deps = {
  config: ServiceConfig;
  db: Db;
  chains: Live<ChainAccess>;
  indexers: Pick<Roster<Indexer>, "get">;
  registry: Registry;
  changes: RegistryChanges;
  observations: Pick<Observations, "of">;
  sender: Pick<RunningSender, "status" | "stuck">;
  metrics: Metrics;
  log: Log;
  contexts: readonly { plugin(app: HttpServer): Promise<void> }[];
  /** What is wrong with lanes. */
  concerns(): Promise<readonly string[]>;
};

const description = `Cross-chain messages and atomic swaps between EVM chains.

Amounts are decimal strings in the smallest unit. Requests that change something carry the start-up token as
\`Authorization: Bearer …\`; it is in the file \`token\` of the data folder. Errors are problem documents (RFC 9457).`;

/** The HTTP side of a process: health always, everything else for the role `api`. Listens from `start` on. */
export function createServiceHttp(deps: Deps): Part {
  const { config } = deps;
  let app: HttpServer | undefined;
  return {
    async start() {
      app = await buildServer(deps);
      await app.listen(config.http);
      deps.log.info({ host: config.http.host, port: config.http.port }, "listening");
    },
    stop: async () => app?.close(),
  };
}

async function buildServer(deps: Deps): Promise<HttpServer> {
  const { config, db, chains, indexers, registry, sender, log, contexts } = deps;
  const app = await createHttpServer({
    log: log.child({ module: "http" }),
    title: "Lockstep",
    version: "1",
    description,
  });
  defendLocally(app, ensureToken(config.dataDir));
  await createHealthRoutes(() => [
    databaseCheck(db),
    ...chainChecks(
      registry.chains.entries().map(([, chain]) => chain),
      indexers,
    ),
    senderCheck(sender),
    lanesCheck(deps),
  ])(app);
  serveMetrics(app, deps.metrics);
  if (!config.roles.includes("api")) return app;
  for (const { plugin } of contexts) await plugin(app);
  await createChainRoutes(deps)(app);
  await createLaneRoutes(deps)(app);
  await createStateRoutes({ chains })(app);
  return app;
}

/** A lane that somebody has to mend makes no process unfit: others go on. */
function lanesCheck({ concerns }: Pick<Deps, "concerns">): HealthCheck {
  return {
    name: "lanes",
    async check() {
      const found = await concerns();
      return found.length > 0 ? { warning: found.join("; ") } : undefined;
    },
  };
}

function databaseCheck(db: Db): HealthCheck {
  return {
    name: "database",
    async check() {
      await db.query("select 1");
      return undefined;
    },
  };
}
