import { countEndpointEvents, gaugeBounds, gaugeEndpoints } from "#core/chain/metrics.ts";
import { createObservations, type Observations } from "#core/chain/observations.ts";
import { createSameChain, type SameChain } from "#core/chain/sameChain.ts";
import { readTls } from "#core/config/accounts.ts";
import type { Env } from "#core/config/env.ts";
import type { Role, ServiceConfig } from "#core/config/service.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { gaugeOutbox } from "#core/events/metrics.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { createOutbox } from "#core/events/outbox.ts";
import { createShow } from "#core/events/shown.ts";
import { auditMigrations } from "#core/http/audit/tables.ts";
import { accessMigrations } from "#core/http/credentials/tables.ts";
import { idempotencyMigrations } from "#core/http/idempotency/tables.ts";
import { createIndexer, type Indexer } from "#core/indexer/createIndexer.ts";
import { gaugeIndexers } from "#core/indexer/metrics.ts";
import { indexerMigrations } from "#core/indexer/tables.ts";
import { type Clock, systemClock } from "#core/kernel/clock.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { fixed, mapLive } from "#core/kernel/live.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";
import { createRoster } from "#core/kernel/roster.ts";
import { instanceMigrations } from "#core/lease/instances.ts";
import { leaseMigrations } from "#core/lease/tables.ts";
import type { Log } from "#core/observe/log.ts";
import { createMetrics, type Metrics } from "#core/observe/metrics.ts";
import { createQueue } from "#core/queue/bullQueue.ts";
import { gaugeQueue } from "#core/queue/metrics.ts";
import { createSender } from "#core/sender/createSender.ts";
import { gaugeSender } from "#core/sender/metrics.ts";
import { intentEvents } from "#core/sender/sender.ts";
import { senderMigrations } from "#core/sender/tables.ts";
import { createRelay, relayEvents, relayMigrations, relayProjections, routeless } from "#relay";
import { createSwapSending, createSwaps, swapEvents, swapMigrations, swapProjections, swapStreams } from "#swap";
import { createDefences } from "./api/defences.ts";
import { shownKinds } from "./api/eventRoutes.ts";
import { createGate } from "./api/gate.ts";
import { createServiceHttp } from "./api/serviceHttp.ts";
import { chainConnector, viewChains } from "./chains.ts";
import { createFleet } from "./fleet/fleet.ts";
import { leasedIndexer } from "./fleet/leasedIndexer.ts";
import { gaugeFleet, gaugeLeases } from "./fleet/metrics.ts";
import { type Foundation, layFoundation } from "./foundation.ts";
import { createLifecycle, type Part, type Service } from "./lifecycle.ts";
import { admitAny, admitNew } from "./registry/admission.ts";
import { createRegistryChanges } from "./registry/changes.ts";
import { type ChainEntry, openRegistry, type Registry } from "./registry/registry.ts";
import { registryMigrations } from "./registry/tables.ts";
import { createUsageReader } from "./registry/usage.ts";
import { createResealing, createServiceReseal } from "./sealed.ts";
import { relayPool, sendPools } from "./sending.ts";
import { webhookMigrations } from "./webhooks/tables.ts";

/** Jobs worked on at a time, per kind. */
const concurrency = 20;

/** Of the outbox' checkpoint; for ever. */
const outboxName = "jobs";

/** Every table of the service. */
export const migrations = [
  ...eventMigrations,
  ...indexerMigrations,
  ...senderMigrations,
  ...relayMigrations,
  ...swapMigrations,
  ...registryMigrations,
  ...accessMigrations,
  ...webhookMigrations,
  ...idempotencyMigrations,
  ...auditMigrations,
  ...instanceMigrations,
  ...leaseMigrations,
];

/** The one place where the graph of the service is built. */
export async function composeService(
  config: ServiceConfig,
  env: Env,
  deps: { log: Log; clock?: Clock; mark?: Mark },
): Promise<Service> {
  const { log, clock = systemClock, mark = noMark } = deps;
  const metrics = createMetrics({ process: true });
  const onEndpointEvent = countEndpointEvents(metrics);
  const foundation = await layFoundation(config, env, { log, clock });
  try {
    await migrate(foundation.db, migrations, log);
    await createServiceReseal(foundation).assertOpens();
    const observations = createObservations(clock);
    const connect = chainConnector({ log, clock, onEndpointEvent, onHeadOffset: observations.headArrived });
    const sameChain = createSameChain({ clock });
    const registry = await openRegistry({ ...foundation, config, connect, sameChain, log, clock });
    return createService(
      config,
      env,
      { ...foundation, registry, connect, observations, sameChain },
      { log, clock, mark, metrics },
    );
  } catch (error) {
    await foundation.close();
    throw error;
  }
}

type Base = Foundation & {
  readonly registry: Registry;
  readonly connect: ReturnType<typeof chainConnector>;
  readonly observations: Observations;
  readonly sameChain: SameChain;
};

function createService(
  config: ServiceConfig,
  env: Env,
  base: Base,
  deps: { log: Log; clock: Clock; mark: Mark; metrics: Metrics },
): Service {
  const { log, clock, mark, metrics } = deps;
  const { db, keyStore, sealer, registry, observations, sameChain } = base;
  const plays = (role: Role) => config.roles.includes(role);
  const schemas = { ...intentEvents, ...relayEvents, ...swapEvents };
  const projections = [...relayProjections, ...swapProjections];
  // Of messages their payloads would be kept, and few read the events of one twice.
  const remembers = (stream: string) => stream.startsWith(swapStreams);
  const store = createEventStore({ db, schemas, projections, log, clock, remembers });
  const chains = viewChains(registry.chains, config.relay, observations);
  const fleet = createFleet({
    ...{ config, db, clock, log, alone: env.DATABASE_URL === undefined },
    indexers: () => indexers.all().map((indexer) => indexer.status()),
    accounts: () => sender.status(),
    stuckMs: (chain) => sender.stuckMs(chain),
  });
  const { leases } = fleet;
  const swapDeps = {
    ...{ db, store, keyStore, sealer, leases, clock, log, mark },
    ...{ chains: chains.swap, admit: admitNew },
    reactionSeconds: BigInt(config.swap.reactionSeconds),
    handoverSeconds: BigInt(config.swap.handoverSeconds),
    feeHeadroom: config.swap.feeHeadroom,
    approval: config.swap.approval,
    approvalSecret: base.approvalSecret,
    desk: config.swap.desk && { ...base, config: config.swap.desk },
    watchtower: config.swap.watchtower,
  };
  const sender = createSender({
    ...{ db, store, keyStore, sealer, sameChain, leases, clock, log, mark },
    ...{ chains: chains.sender, admit: admitAny },
    ...createSwapSending(swapDeps),
    pools: sendPools(config),
    onActivity: (chain) => indexers.get(chain)?.wake(),
    onInclusion: observations.included,
    isUnfitElsewhere: fleet.isUnfitElsewhere,
  });
  const relay = createRelay({
    ...{ db, store, sender, keyStore, leases, clock, log },
    ...{ chains: chains.relay, lanes: registry.lanes, admit: admitNew },
    config: config.relay,
    validatorTls: readTls(config.relay.validatorTls, "relay.validatorTls"),
    payer: relayPool,
  });
  const swaps = createSwaps({ ...swapDeps, sender });
  const observers = [relay.observer, swaps.observer];
  const halt = Promise.withResolvers<unknown>();
  const onHalt = (error: unknown) => (isLockstepError(error, "chain-replaced") ? halt.resolve(error) : undefined);
  const indexers = createRoster<ChainEntry, Indexer>({
    live: plays("indexer") ? chains.present : fixed({}),
    create: ({ access: chain, settings }, name) =>
      leasedIndexer(leases.of(`indexer/${name}`), (db) =>
        createIndexer({ chain, config: settings, db, observers, sameChain, log, clock, mark, onHalt }),
      ),
    keeps: (indexer, before, after) => indexer.status().state !== "halted" && readsAlike(before, after),
    onError: (error, chain) => log.error({ err: error, chain }, "an indexer did not start or stop"),
  });
  relay.onLanesAdded((lanes) => {
    // What was on the chains before a lane was served has been passed over.
    const ends = new Set(lanes.flatMap(({ origin, destination }) => [origin, destination]));
    for (const chain of ends) indexers.get(chain)?.readAgain();
  });
  const home = env.REDIS_URL === undefined ? { connectionString: base.connectionString } : { redisUrl: env.REDIS_URL };
  // A job that a silent process has is another's as soon as its leases are.
  const stalledMs = 1_000 * config.fleet.leaseSeconds;
  const queue = createQueue({ log, prefix: config.queuePrefix, stalledMs, ...home });
  const outbox = createOutbox({
    ...{ name: outboxName, store, db, log, clock, except: routeless },
    routes: (event) => [...relay.routes(event), ...swaps.routes(event)],
    enqueue: queue.enqueue,
    alike: ({ name, data }) => `${name} ${JSON.stringify(data)}`,
    onFatal: () => halt.resolve(outboxEnded()),
  });
  const outboxLease = leases.of("outbox");
  const handlers = { ...(plays("relayer") && relay.handlers), ...(plays("swapper") && swaps.handlers) };
  const changes = createRegistryChanges({ ...base, usage: createUsageReader({ relay, swaps, sender }) });
  gaugeEndpoints(metrics, () => chains.present.entries().map(([, { access }]) => access));
  gaugeBounds(metrics, () =>
    chains.present
      .entries()
      .map(([name, { settings }]) => ({ name, configured: settings, observed: observations.of(name) })),
  );
  gaugeIndexers(metrics, indexers.all);
  gaugeSender(metrics, sender);
  gaugeLeases(metrics, leases);
  gaugeFleet(metrics, { db, roll: fleet.roll, clock });
  gaugeOutbox(metrics, { db, name: outboxName, except: routeless, clock });
  gaugeQueue(metrics, queue, Object.keys(handlers));
  for (const context of [relay, swaps]) context.gauge(metrics);
  const http = createServiceHttp({
    defences: createDefences({ ...base, config, env, clock, mark, log: log.child({ module: "http" }) }),
    ...{
      config,
      db,
      indexers,
      sender,
      metrics,
      log,
      store,
      sealer,
      show: createShow({ kinds: shownKinds, store, db }),
      registry,
      changes,
      observations,
      contexts: [relay, swaps],
      concerns: relay.concerns,
      fleet,
      clock,
      gate: createGate({ config, redisUrl: env.REDIS_URL, db, sealer, clock, log }),
    },
    chains: mapLive(chains.present, ({ access }) => access),
  });
  const ground: Part[] = [
    { start: async () => undefined, stop: base.close },
    registry,
    ...(env.DATABASE_URL === undefined ? [createResealing({ db, sealer, log })] : []),
    fleet,
  ];
  const work: Part[] = [
    { start: () => queue.work(handlers, { concurrency }), stop: queue.close },
    ...(plays("relayer") || plays("swapper")
      ? [sender, { start: () => outboxLease.contend(outbox), stop: outboxLease.leave }]
      : []),
    ...(plays("relayer") ? [relay] : []),
    ...(plays("swapper") ? [swaps] : []),
    indexers,
  ];
  return {
    ...createLifecycle(
      { ground, work, front: [http] },
      { fleet, drainMs: config.fleet.drainSeconds * 1_000, clock, log },
    ),
    halted: halt.promise,
    recovery: swaps.recovery,
    http: http.http,
    indexed: () => indexers.all().map((indexer) => indexer.status()),
  };
}

const outboxEnded = () =>
  new LockstepError("internal", "events are not turned into jobs any more; the log has the cause");

/** True when an indexer of the one reads as one of the other would. */
function readsAlike({ settings: a }: ChainEntry, { settings: b }: ChainEntry): boolean {
  return a.pollMs === b.pollMs && a.logWindow === b.logWindow && a.recheckMs === b.recheckMs;
}
