import { countEndpointEvents, gaugeEndpoints } from "#core/chain/metrics.ts";
import type { ChainConfig } from "#core/config/chains.ts";
import type { Env } from "#core/config/env.ts";
import { finalitySeconds } from "#core/config/finality.ts";
import type { Role, ServiceConfig } from "#core/config/service.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { createOutbox } from "#core/events/outbox.ts";
import { createIndexer, type Indexer } from "#core/indexer/createIndexer.ts";
import { gaugeIndexers } from "#core/indexer/metrics.ts";
import { assertSameChain } from "#core/indexer/sameChain.ts";
import { indexerMigrations } from "#core/indexer/tables.ts";
import { type Clock, systemClock } from "#core/kernel/clock.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";
import type { Log } from "#core/observe/log.ts";
import { createMetrics, type Metrics } from "#core/observe/metrics.ts";
import { createQueue } from "#core/queue/bullQueue.ts";
import { createSender } from "#core/sender/createSender.ts";
import { defaultFeeCeiling } from "#core/sender/fees.ts";
import { gaugeSender } from "#core/sender/metrics.ts";
import { intentEvents } from "#core/sender/sender.ts";
import { senderMigrations } from "#core/sender/tables.ts";
import { createRelay, relayEvents, relayMigrations, relayProjections } from "#relay";
import { createSwapSending, createSwaps, type SwapChain, swapEvents, swapMigrations, swapProjections } from "#swap";
import { createServiceHttp } from "./api/serviceHttp.ts";
import { type Foundation, layFoundation } from "./foundation.ts";
import { createLifecycle, type Part, type Service } from "./lifecycle.ts";

/** Jobs worked on at a time, per kind. */
const concurrency = 20;

const migrations = [
  ...eventMigrations,
  ...indexerMigrations,
  ...senderMigrations,
  ...relayMigrations,
  ...swapMigrations,
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
  const foundation = await layFoundation(config, env, { log, clock, onEndpointEvent });
  try {
    await migrate(foundation.db, migrations, log);
    for (const chain of Object.values(foundation.chains)) await assertSameChain(foundation.db, chain);
    return createService(config, env, foundation, { log, clock, mark, metrics });
  } catch (error) {
    await foundation.close();
    throw error;
  }
}

function createService(
  config: ServiceConfig,
  env: Env,
  foundation: Foundation,
  deps: { log: Log; clock: Clock; mark: Mark; metrics: Metrics },
): Service {
  const { log, clock, mark, metrics } = deps;
  const { db, chains, keyStore, sealer } = foundation;
  const plays = (role: Role) => config.roles.includes(role);
  const schemas = { ...intentEvents, ...relayEvents, ...swapEvents };
  const projections = [...relayProjections, ...swapProjections];
  const store = createEventStore({ db, schemas, projections, log, clock });
  const swapDeps = {
    ...{ db, store, keyStore, sealer, clock, log },
    chains: swapChains(config, foundation),
    reactionSeconds: BigInt(config.swap.reactionSeconds),
  };
  const indexers = new Map<string, Indexer>();
  const sender = createSender({
    ...{ db, store, chains, keyStore, sealer, clock, log, mark },
    ...createSwapSending(swapDeps),
    settings: sendSettings(config),
    onActivity: (chain) => indexers.get(chain)?.wake(),
  });
  const relay = createRelay({
    ...{ db, store, sender, keyStore, clock, log },
    chains: relayChains(config, foundation),
    config: config.relay,
  });
  const swaps = createSwaps({ ...swapDeps, sender });
  const observers = [relay.observer, swaps.observer];
  const halt = Promise.withResolvers<unknown>();
  for (const [name, chain] of Object.entries(plays("indexer") ? chains : {})) {
    const onHalt = (error: unknown) => (isLockstepError(error, "chain-replaced") ? halt.resolve(error) : undefined);
    indexers.set(
      name,
      createIndexer({ chain, config: settingsOf(config, name), db, observers, log, clock, mark, onHalt }),
    );
  }
  const home =
    env.REDIS_URL === undefined ? { connectionString: foundation.connectionString } : { redisUrl: env.REDIS_URL };
  const queue = createQueue({ log, prefix: config.queuePrefix, ...home });
  const outbox = createOutbox({
    ...{ name: "jobs", store, db, log, clock },
    routes: (event) => [...relay.routes(event), ...swaps.routes(event)],
    enqueue: queue.enqueue,
  });
  const handlers = { ...(plays("relayer") && relay.handlers), ...(plays("swapper") && swaps.handlers) };
  gaugeEndpoints(metrics, () => Object.values(chains));
  gaugeIndexers(metrics, () => indexers.values());
  gaugeSender(metrics, sender);
  const http = createServiceHttp({ config, db, chains, indexers, sender, metrics, log, contexts: [relay, swaps] });
  const parts: Part[] = [
    { start: async () => undefined, stop: foundation.close },
    { start: () => queue.work(handlers, { concurrency }), stop: queue.close },
    ...(plays("relayer") || plays("swapper") ? [sender, outbox] : []),
    ...(plays("relayer") ? [relay] : []),
    ...(plays("swapper") ? [swaps] : []),
    ...indexers.values(),
    http,
  ];
  const { start, stop } = createLifecycle(parts, log);
  return {
    async start() {
      await start();
      void outbox.ended().then((how) => how === "fatal" && halt.resolve(outboxEnded()));
    },
    stop,
    halted: halt.promise,
  };
}

const outboxEnded = () =>
  new LockstepError("internal", "events are not turned into jobs any more; the log has the cause");

/**
 * A claim whose secret is public has to be mined whatever it costs, so it may offer far more than other transactions;
 * not without any bound, because a fee estimate is only what an endpoint says.
 */
const claimCeiling = 20n * defaultFeeCeiling;

function sendSettings(config: ServiceConfig) {
  const feeCeiling = (kind: string) => (kind.startsWith("swap.claim-") ? claimCeiling : defaultFeeCeiling);
  return Object.fromEntries(
    Object.entries(config.chains).map(([name, { pollMs, blockSeconds }]) => [
      name,
      { pollMs, resendMs: Math.max(1_000, 2_000 * blockSeconds), feeCeiling },
    ]),
  );
}

function settingsOf(config: ServiceConfig, chain: string): ChainConfig {
  const found = config.chains[chain];
  if (!found) throw new LockstepError("chain-unknown", `there is no chain ${chain}`);
  return found;
}

function relayChains(config: ServiceConfig, { chains }: Foundation) {
  return Object.fromEntries(
    Object.entries(chains).map(([name, chain]) => {
      const { gateway, stateOracle } = settingsOf(config, name);
      return [name, { chain, gateway, stateOracle, prove: chain.prove }];
    }),
  );
}

function swapChains(config: ServiceConfig, { chains }: Foundation): Record<string, SwapChain> {
  return Object.fromEntries(
    Object.entries(chains).map(([name, chain]) => {
      const settings = settingsOf(config, name);
      const seconds = (value: number) => BigInt(Math.ceil(value));
      const timing = {
        finality: finalitySeconds(settings),
        inclusion: seconds(settings.inclusionSeconds),
        skew: seconds(settings.skewSeconds),
      };
      return [name, { chain, timelockContract: settings.timelock, timing }];
    }),
  );
}
