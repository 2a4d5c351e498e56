import type { Server } from "node:https";
import type { RestoreHold } from "#core/backup/hold.ts";
import type { ChainAccess } from "#core/chain/chain.ts";
import type { Observations } from "#core/chain/observations.ts";
import { isLoopback } from "#core/config/http.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import type { Db } from "#core/db/db.ts";
import { createFeed } from "#core/events/feed.ts";
import type { Show } from "#core/events/shown.ts";
import type { EventStore } from "#core/events/store.ts";
import { createHealthRoutes, type HealthCheck } from "#core/http/health.ts";
import { serveMetrics } from "#core/http/metrics.ts";
import { createOutbound } from "#core/http/outbound.ts";
import { changeLimits } from "#core/http/requestLimits.ts";
import { tellOfRequests } from "#core/http/requestLog.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { readTls, renewTls } from "#core/http/tls.ts";
import type { Indexer } from "#core/indexer/createIndexer.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Live } from "#core/kernel/live.ts";
import type { Roster } from "#core/kernel/roster.ts";
import type { Sealer } from "#core/kernel/seal.ts";
import type { Log } from "#core/observe/log.ts";
import type { Metrics } from "#core/observe/metrics.ts";
import type { Tracing } from "#core/observe/tracing.ts";
import type { Queue } from "#core/queue/queue.ts";
import type { RunningSender } from "#core/sender/createSender.ts";
import type { Fleet } from "../fleet/fleet.ts";
import type { Load } from "../fleet/load.ts";
import type { Part, Service } from "../lifecycle.ts";
import type { LiveConfig } from "../liveConfig.ts";
import type { ServiceReads } from "../reads.ts";
import type { RegistryChanges } from "../registry/changes.ts";
import type { Registry } from "../registry/registry.ts";
import type { Restoring } from "../restoring/restoring.ts";
import { createDeliverer } from "../webhooks/deliverer.ts";
import { createApiKeyRoutes } from "./apiKeys.ts";
import { createAuditRoutes } from "./audit.ts";
import { chainChecks } from "./chainChecks.ts";
import { createChainRoutes } from "./chains.ts";
import type { Defences } from "./defences.ts";
import { apiDescription } from "./document.ts";
import { createEventRoutes, takeSockets } from "./events.ts";
import type { Gate } from "./gate.ts";
import { createInstanceRoutes } from "./instances.ts";
import { createLaneRoutes } from "./lanes.ts";
import { createRestoreRoutes } from "./restore.ts";
import { senderCheck } from "./senderCheck.ts";
import { createStateRoutes } from "./state.ts";
import { createWebhookRoutes } from "./webhooks.ts";

type Deps = {
  config: ServiceConfig;
  live: Pick<LiveConfig, "onChange" | "reload">;
  /** Counts what is asked for. */
  load: Pick<Load, "countRequests">;
  db: Db;
  chains: Live<ChainAccess>;
  indexers: Pick<Roster<Indexer>, "get">;
  registry: Registry;
  changes: RegistryChanges;
  observations: Pick<Observations, "of">;
  sender: Pick<RunningSender, "status" | "stuck">;
  metrics: Metrics;
  /** Undefined where nothing is traced. */
  tracing: Tracing | undefined;
  defences: Defences;
  log: Log;
  clock: Clock;
  gate: Gate;
  store: EventStore;
  show: Show;
  sealer: Sealer;
  contexts: readonly { plugin(app: HttpServer): Promise<void> }[];
  fleet: Pick<Fleet, "roll" | "check" | "chains" | "hasOthers">;
  /** What a restore still keeps from being done. */
  restoring: Pick<Restoring, "check" | "reason">;
  hold: RestoreHold;
  /** What is done once before the process has started. */
  startup: readonly HealthCheck[];
  /** Where there is a replica to read from. */
  reads: Pick<ServiceReads, "positions" | "check"> | undefined;
  /** Undefined where this process needs none. */
  queue: Pick<Queue, "assertAnswers"> | undefined;
  /** What is wrong with lanes. */
  concerns(): Promise<readonly string[]>;
};

/** The HTTP side of a process: health always, everything else for the role `api`. Listens from `start` on. */
export function createServiceHttp(deps: Deps): Part & Pick<Service, "http"> {
  const { gate, log } = deps;
  const { host, port, tls } = deps.config.http;
  let app: HttpServer | undefined;
  const reload = () => void deps.live.reload();
  return {
    http: () => buildServer(deps),
    async start() {
      app = await buildServer(deps);
      await gate.start();
      await app.listen({ host, port });
      deps.defences.start();
      // Without a listener the signal would end the process.
      process.on("SIGHUP", reload);
      if (!tls && !isLoopback(host))
        log.warn({ host }, "other machines are served without TLS: put a proxy with it in front");
      log.info({ host, port, tls: tls !== undefined }, "listening");
    },
    async stop() {
      process.off("SIGHUP", reload);
      await app?.close();
      await deps.defences.stop();
      await gate.stop();
    },
  };
}

async function buildServer(deps: Deps): Promise<HttpServer> {
  const { config, db, chains, registry, sender, log, contexts, defences } = deps;
  const limits = { ...config.http.limits };
  const app = await createHttpServer({
    ...apiDescription,
    log: log.child({ module: "http" }),
    onUndeclared: countUndeclared(deps.metrics),
    ...(config.http.tls && { tls: readTls(config.http.tls) }),
    idempotency: defences.idempotency,
    ...{ limits, trustProxy: config.http.trustProxy },
  });
  deps.live.onChange(({ http }) => {
    const renew = http.tls && renewTls(app.server as unknown as Server, http.tls);
    return () => {
      renew?.();
      changeLimits(app.server, Object.assign(limits, http.limits));
    };
  });
  deps.load.countRequests(app);
  tellOfRequests(app, { log: log.child({ module: "http" }), metrics: deps.metrics, tracing: deps.tracing });
  const feed = createFeedOf(deps);
  if (config.roles.includes("api")) await takeSockets(app, feed);
  defences.beforeGuard(app);
  await deps.gate.guard(app);
  defences.afterGuard(app);
  deps.reads?.positions.attach(app);
  await createHealthRoutes(
    () => [
      databaseCheck(db),
      ...(deps.queue ? [queueCheck(deps.queue)] : []),
      ...chainChecks(
        registry.chains.entries().map(([, chain]) => chain),
        deps,
      ),
      senderCheck(sender),
      lanesCheck(deps),
      deps.fleet.check,
      deps.restoring.check,
      ...(deps.reads ? [deps.reads.check] : []),
    ],
    deps.startup,
  )(app);
  serveMetrics(app, deps.metrics);
  if (!config.roles.includes("api")) return app;
  for (const { plugin } of contexts) await plugin(app);
  await createChainRoutes(deps)(app);
  await createLaneRoutes(deps)(app);
  await createInstanceRoutes({ db, roll: deps.fleet.roll })(app);
  await createRestoreRoutes(deps)(app);
  await createStateRoutes({ chains })(app);
  await createApiKeyRoutes({ keys: deps.gate.keys, clock: deps.clock })(app);
  await createEventRoutes({ ...deps, feed, told: deps.reads?.positions.note, origins: config.http.cors?.origins })(app);
  await addWebhooks(app, deps);
  await createAuditRoutes(defences.audit)(app);
  feed.start();
  return app;
}

/** Every process that serves the API delivers; each webhook is one process's at a time. */
async function addWebhooks(app: HttpServer, deps: Deps): Promise<void> {
  const { timeoutMs, attempts, maxWebhooks, ...reach } = deps.config.http.webhooks;
  const outbound = createOutbound({ ...reach, timeoutMs });
  const deliverer = createDeliverer({ ...deps, outbound, attempts, holdMs: 2 * timeoutMs + 5_000 });
  await createWebhookRoutes({ ...deps, outbound, maxWebhooks, wake: deliverer.wake })(app);
  app.addHook("onReady", async () => deliverer.start());
  app.addHook("onClose", async () => deliverer.stop());
}

function createFeedOf({ config, store, show, log, clock, gate, hold }: Deps) {
  const { maxAgeSeconds, maxStreams, maxStreamsPerCaller, maxBufferedBytes } = config.http.events;
  return createFeed({
    ...{ store, show, log, clock, maxAgeMs: maxAgeSeconds * 1_000 },
    lostAt: hold.lostAt,
    ...{ mostReaders: maxStreams, mostPerSubscriber: maxStreamsPerCaller, mostBuffered: maxBufferedBytes },
    endedKeys: gate.keys.ended,
  });
}

function countUndeclared(metrics: Metrics) {
  const count = metrics.counter(
    "http_undeclared_errors_total",
    "Answers with a code that their route does not declare",
  );
  return (route: string, code: string) => count({ route, code });
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

/** Without it work is begun by schedulers alone, later than it could be; requests are answered as ever. */
function queueCheck(queue: Pick<Queue, "assertAnswers">): HealthCheck {
  return {
    name: "queue",
    check: () =>
      queue.assertAnswers().then(
        () => undefined,
        () => ({ warning: "the work queue does not answer; work waits for schedulers" }),
      ),
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
