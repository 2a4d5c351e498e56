import { createRestoreHold } from "#core/backup/hold.ts";
import { countEndpointEvents } from "#core/chain/metrics.ts";
import { createObservations, type Observations } from "#core/chain/observations.ts";
import { createSameChain, type SameChain } from "#core/chain/sameChain.ts";
import { readTls } from "#core/config/accounts.ts";
import type { Env } from "#core/config/env.ts";
import type { Role, ServiceConfig } from "#core/config/service.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { createOutbox } from "#core/events/outbox.ts";
import { createShow } from "#core/events/shown.ts";
import { createStageTimes } from "#core/events/stageTimes.ts";
import { type Clock, systemClock } from "#core/kernel/clock.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { fixed, mapLive } from "#core/kernel/live.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";
import type { Log, RootLog } from "#core/observe/log.ts";
import { createMetrics, type Metrics } from "#core/observe/metrics.ts";
import { type Tracer, type Tracing, untraced } from "#core/observe/tracing.ts";
import { createQueue } from "#core/queue/bullQueue.ts";
import { timedHandlers } from "#core/queue/metrics.ts";
import { createSender } from "#core/sender/createSender.ts";
import { createRelay, routeless } from "#relay";
import { createSwapSending, createSwaps, swapStreams } from "#swap";
import { createDefences } from "./api/defences.ts";
import { shownKinds } from "./api/eventRoutes.ts";
import { createGate } from "./api/gate.ts";
import { createServiceHttp } from "./api/serviceHttp.ts";
import { startupChecks } from "./api/startupChecks.ts";
import { archivedHistories, archiveStorage, createArchiving } from "./archive.ts";
import { chainConnector, viewChains } from "./chains.ts";
import { createFleet } from "./fleet/fleet.ts";
import { createIndexers } from "./fleet/indexers.ts";
import { createLoad } from "./fleet/load.ts";
import { type Foundation, layFoundation } from "./foundation.ts";
import { gaugeService } from "./gauges.ts";
import { createLifecycle, type Part, type Service } from "./lifecycle.ts";
import { createLiveConfig, type LiveConfig } from "./liveConfig.ts";
import { createServiceReads } from "./reads.ts";
import { admitAny, admitNew, unlessRestoring } from "./registry/admission.ts";
import { createRegistryChanges } from "./registry/changes.ts";
import { openRegistry, type Registry } from "./registry/registry.ts";
import { createUsageReader } from "./registry/usage.ts";
import { afterScan } from "./restoring/afterScan.ts";
import { createRestoring } from "./restoring/restoring.ts";
import { createResealing, createServiceReseal } from "./sealed.ts";
import { relayPool, sendPools } from "./sending.ts";
import { migrations, projections, serviceEvents } from "./stored.ts";
import { journeySources, openTracing, traceParts, trackingOf } from "./telemetry.ts";
import { createWorking } from "./working.ts";

/** Jobs worked on at a time, per kind. */
const concurrency = 20;

/** Of the outbox' checkpoint; for ever. */
const outboxName = "jobs";

/**
 * The one place where the graph of the service is built. `listens`: whether it is to be asked over HTTP. `onFailed` hears
 * why it cannot be built or started, before what was opened is closed again.
 */
export async function composeService(
  config: ServiceConfig,
  env: Env,
  deps: {
    log: Log & Partial<RootLog>;
    clock?: Clock;
    mark?: Mark;
    read?: () => ServiceConfig;
    listens?: boolean;
    onFailed?: (error: unknown) => void;
  },
): Promise<Service> {
  const { log, clock = systemClock, mark = noMark, read = () => config, listens = true } = deps;
  const metrics = createMetrics({ process: true });
  const onEndpointEvent = countEndpointEvents(metrics);
  const tracing = await openTracing(config, env, { log, clock, metrics });
  const foundation = await layFoundation(config, env, { log, clock, tracing });
  try {
    await migrate(foundation.db, migrations, log);
    await createServiceReseal(foundation).assertOpens();
    const live = createLiveConfig({ config, read, key: foundation.fingerprintKey, clock, log });
    live.onChange((next) => () => log.setLevel?.(next.logLevel ?? env.LOCKSTEP_LOG_LEVEL));
    const observations = createObservations(clock);
    const connect = chainConnector({ log, clock, onEndpointEvent, onHeadOffset: observations.headArrived, tracing });
    const sameChain = createSameChain({ clock });
    const registry = await openRegistry({ ...foundation, config, connect, sameChain, log, clock });
    return createService(
      config,
      env,
      { ...foundation, live, registry, connect, observations, sameChain, tracing },
      { log, clock, mark, metrics, listens, onFailed: deps.onFailed },
    );
  } catch (error) {
    deps.onFailed?.(error);
    await foundation.close();
    throw error;
  }
}

type Base = Foundation & {
  readonly live: LiveConfig;
  readonly registry: Registry;
  readonly connect: ReturnType<typeof chainConnector>;
  readonly observations: Observations;
  readonly sameChain: SameChain;
  /** Undefined where nothing is traced. */
  readonly tracing: Tracing | undefined;
};

type Around = {
  readonly log: Log;
  readonly clock: Clock;
  readonly mark: Mark;
  readonly metrics: Metrics;
  readonly listens: boolean;
  readonly onFailed: ((error: unknown) => void) | undefined;
};

function createService(config: ServiceConfig, env: Env, base: Base, deps: Around): Service {
  const { log, clock, mark, metrics, listens } = deps;
  const { db, keyStore, sealer, registry, observations, sameChain, tracing } = base;
  const tracer: Tracer = tracing ?? untraced;
  const plays = (role: Role) => config.roles.includes(role);
  // Of messages their payloads would be kept, and few read the events of one twice.
  const remembers = (stream: string) => stream.startsWith(swapStreams);
  const storage = archiveStorage(config, env);
  const archived = archivedHistories(db, storage);
  const store = createEventStore({ db, schemas: serviceEvents, projections, log, clock, remembers, archived });
  const reads = createServiceReads({
    ...{ env, db, schema: db.schema, store, schemas: serviceEvents, remembers, storage, metrics, clock, log },
  });
  const shown = reads && { shown: reads.shown };
  const chains = viewChains(registry.chains, config.relay, observations);
  const load = createLoad({ clock });
  const halt = Promise.withResolvers<unknown>();
  const fleet = createFleet({
    ...{ config, db, clock, log, alone: env.DATABASE_URL === undefined },
    ...{ load: load.measure, configuration: base.live.facts, onHalt: halt.resolve },
    indexers: () => indexers.all().map((indexer) => indexer.status()),
    accounts: () => sender.status(),
    stuckMs: (chain) => sender.stuckMs(chain),
  });
  const { leases } = fleet;
  const hold = createRestoreHold({ db, clock });
  const admission = { admit: unlessRestoring(admitNew), isHeld: hold.isHeld };
  const swapDeps = {
    ...{ db, store, keyStore, sealer, leases, clock, log, tracer, mark, ...shown },
    ...{ chains: chains.swap, ...admission, admitOwn: unlessRestoring(admitAny) },
    reactionSeconds: BigInt(config.swap.reactionSeconds),
    handoverSeconds: BigInt(config.swap.handoverSeconds),
    feeHeadroom: config.swap.feeHeadroom,
    approval: config.swap.approval,
    approvalSecret: base.approvalSecret,
    desk: config.swap.desk && { ...base, config: config.swap.desk },
    watchtower: config.swap.watchtower,
  };
  const swapSending = createSwapSending(swapDeps);
  const sender = createSender({
    ...{ db, store, keyStore, sealer, sameChain, leases, clock, log, mark, isHeld: hold.isHeld },
    ...{ chains: chains.sender, admit: admitAny, trackingOf, scope: tracing?.scope },
    ...swapSending,
    pools: sendPools(config),
    onActivity: (chain) => indexers.get(chain)?.wake(),
    onInclusion: observations.included,
    isUnfitElsewhere: fleet.isUnfitElsewhere,
  });
  const relay = createRelay({
    ...{ db, store, sender, keyStore, leases, clock, log, tracer, ...shown },
    ...{ chains: chains.relay, lanes: registry.lanes, ...admission },
    config: config.relay,
    validatorTls: readTls(config.relay.validatorTls, "relay.validatorTls"),
    payer: relayPool,
  });
  const swaps = createSwaps({ ...swapDeps, sender });
  const onHalt = (error: unknown) => (isLockstepError(error, "chain-replaced") ? halt.resolve(error) : undefined);
  const indexers = createIndexers({
    ...{ live: plays("indexer") ? chains.present : fixed({}), leases, sameChain, clock, log, mark, onHalt },
    observers: () => [relay.observer, swaps.observer],
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
    handled: createStageTimes({ sources: journeySources({ db, store }), metrics, log }),
    onFatal: () => halt.resolve(outboxEnded()),
  });
  const restoring = createRestoring({
    ...{ db, store, hold, chains: chains.present, keyStore, clock, log, lease: leases.of("restore") },
    ...{ swaps, builders: swapSending.builders },
  });
  const outboxLease = leases.of("outbox");
  const counted = {
    ...(plays("relayer") && load.counted("relayer", relay.handlers)),
    ...(plays("swapper") && load.counted("swapper", swaps.handlers)),
  };
  const changes = createRegistryChanges({ ...base, usage: createUsageReader({ relay, swaps, sender }) });
  const handlers = timedHandlers(metrics, counted);
  gaugeService(metrics, {
    ...{ db, clock, chains: chains.present, observations, indexers, sender, leases, hold, roll: fleet.roll, queue },
    outbox: { name: outboxName, except: routeless },
    ...{ jobs: Object.keys(handlers), contexts: [relay, swaps] },
  });
  let isStarted = false;
  const http = createServiceHttp({
    startup: startupChecks({ isStarted: () => isStarted, leases, indexers }),
    defences: createDefences({ ...base, config, env, clock, mark, log: log.child({ module: "http" }) }),
    ...{ config, live: base.live, load, db, indexers, sender, metrics, tracing, log, store, sealer },
    ...{ registry, changes, observations, contexts: [relay, swaps], concerns: relay.concerns, fleet, reads, clock },
    ...{ restoring, hold },
    queue: env.REDIS_URL === undefined && Object.keys(handlers).length === 0 ? undefined : queue,
    show: createShow({ kinds: shownKinds, store, db }),
    gate: createGate({ config, live: base.live, redisUrl: env.REDIS_URL, db, sealer, clock, log }),
    chains: mapLive(chains.present, ({ access }) => access),
  });
  const traces = traceParts(tracing, { db, store, leases, clock, log });
  const ground: Part[] = [
    { start: async () => undefined, stop: base.close },
    ...traces.ground,
    registry,
    ...(reads ? [reads] : []),
    ...(env.DATABASE_URL === undefined ? [createResealing({ db, sealer, log })] : []),
    fleet,
  ];
  const archiving = createArchiving({ config, db, store, storage, leases, hold, metrics, clock, log, mark });
  const work: Part[] = [
    // A command that looks or recovers changes nothing else.
    ...(listens ? [archiving] : []),
    createWorking({ queue, handlers, concurrency, log, clock }),
    ...(plays("relayer") || plays("swapper")
      ? [sender, { start: () => outboxLease.contend(outbox), stop: outboxLease.leave }, restoring]
      : []),
    ...(plays("relayer") ? [relay] : []),
    ...(plays("swapper") ? [swaps] : []),
    afterScan(indexers, { hold, awaits: listens || plays("swapper"), clock, log }),
    ...traces.work,
  ];
  return {
    ...createLifecycle(
      { ground, work, front: [listens ? http : silent(http)] },
      {
        ...{ fleet, drainMs: () => base.live.now().fleet.drainSeconds * 1_000, onFailed: deps.onFailed, clock, log },
        onStarted() {
          isStarted = true;
        },
      },
    ),
    halted: halt.promise,
    config: base.live.now,
    recovery: swaps.recovery,
    http: http.http,
    indexed: () => indexers.all().map((indexer) => indexer.status()),
  };
}

/** A part that is not started, and lets go of what it was composed of all the same. */
const silent = ({ stop }: Part): Part => ({ start: async () => undefined, stop });

const outboxEnded = () =>
  new LockstepError("internal", "events are not turned into jobs any more; the log has the cause");
