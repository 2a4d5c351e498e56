import { z } from "zod";
import type { KeyStore } from "#core/chain/keys.ts";
import type { ApprovalConfig } from "#core/config/approval.ts";
import type { WatchtowerConfig } from "#core/config/service.ts";
import type { Db, Migration, Queryable, Tx } from "#core/db/db.ts";
import type { EventStore, Projection, StoredEvent } from "#core/events/store.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { ChainObserver } from "#core/indexer/observer.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Live } from "#core/kernel/live.ts";
import type { Mark } from "#core/kernel/mark.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import type { Sealer } from "#core/kernel/seal.ts";
import { alwaysHeld, type Leases } from "#core/lease/lease.ts";
import type { Log } from "#core/observe/log.ts";
import type { Metrics } from "#core/observe/metrics.ts";
import { type Tracer, untraced } from "#core/observe/tracing.ts";
import { type Job, type JobHandler, jobId, parseJob } from "#core/queue/queue.ts";
import type { CallBuilder, IntentGuard, Sender } from "#core/sender/sender.ts";
import { createSwapRoutes } from "./api.ts";
import { checkMembers, membersOf } from "./batchMembers.ts";
import { createBraking, createLastBrakes } from "./brakes/braking.ts";
import { haltMigrations } from "./brakes/halts.ts";
import { createSwapChains, type SwapChain } from "./chains.ts";
import { createLegCheck } from "./completeness.ts";
import { createSwapDriver } from "./driver.ts";
import { batchEvents, swapEvents as ownEvents, type SwapEvent, swapStream } from "./events.ts";
import { createSwapGuards } from "./guards.ts";
import { createHandIn } from "./handIn.ts";
import { claimBuilder } from "./intents.ts";
import { advanceBatchJob, advanceJob, advanceJobs } from "./jobs.ts";
import { claimCall } from "./legCalls.ts";
import { createLockLedger } from "./locks/ledger.ts";
import { ledgerMigrations } from "./locks/tables.ts";
import { gaugeSwaps } from "./metrics.ts";
import { createSwapObserver } from "./observer.ts";
import { combineObservers } from "./observers.ts";
import { deskMigrations } from "./quotes/exposure.ts";
import { createQuoting, type DeskSettings, pricesOf } from "./quotes/quoting.ts";
import { createRepricing } from "./quotes/repricing.ts";
import { countOpenSwaps, createSwapIndex, swapProjection } from "./readModel.ts";
import { createSwapRequester } from "./request.ts";
import { createReserves } from "./reserves.ts";
import { createRestoredMarks } from "./restored.ts";
import { createScheduler } from "./scheduler.ts";
import { createSecretStore, secretMigrations } from "./secrets.ts";
import { foldSwap, type Swap } from "./swap.ts";
import { readModelMigrations } from "./tables.ts";
import { watchEvents } from "./watch/events.ts";
import { createOperatorPays } from "./watch/policy.ts";
import { countWatches, watchProjection } from "./watch/readModel.ts";
import type { Recovery } from "./watch/recovery.ts";
import { watchMigrations } from "./watch/tables.ts";
import { createWatchtower, watchJobs } from "./watch/watchtower.ts";

export { archiveBatches, archiveSwaps } from "./archive.ts";
export type { SwapChain } from "./chains.ts";
export { type ChainTiming, earliestTimelocks, type SwapTiming } from "./deadlines.ts";
export { swapStreams } from "./events.ts";
export { createSwapJourneys } from "./journeys.ts";
export { hashlockOf } from "./protocol/hashlock.ts";
export { decodeIsOpen, encodeIsOpen } from "./protocol/timelock.ts";
export { findSwapId } from "./readModel.ts";
export { sealedSecrets } from "./secrets.ts";

export type { ConcernedLock, Recovery } from "./watch/recovery.ts";
export type { LockView } from "./watch/schemas.ts";

export const swapEvents = { ...ownEvents, ...batchEvents, ...watchEvents };

export const swapMigrations: readonly Migration[] = [
  ...secretMigrations,
  ...readModelMigrations,
  ...deskMigrations,
  ...ledgerMigrations,
  ...watchMigrations,
  ...haltMigrations,
];
export const swapProjections: readonly Projection[] = [swapProjection, watchProjection];

export type SwapDeps = {
  db: Db;
  store: EventStore;
  /** Where what the API shows is read from, which decides nothing; the same as all else when left out. */
  shown?: { readonly db: Db; readonly store: EventStore };
  chains: Live<SwapChain>;
  /** Throws `chain-unknown` or `chain-paused`, and keeps the chains from being removed until the transaction ends. */
  admit?(tx: Tx, chains: readonly string[]): Promise<void>;
  /** The same for locks of our own, which are driven while a chain is paused. */
  admitOwn?(tx: Tx, chains: readonly string[]): Promise<void>;
  keyStore: KeyStore;
  sealer: Sealer;
  reactionSeconds: bigint;
  /** Which locks of others are driven when somebody asks for it; none without. */
  watchtower?: WatchtowerConfig | undefined;
  /** Seconds that external parties are given to act, where timelocks are chosen for them. */
  handoverSeconds: bigint;
  desk?: DeskSettings | undefined;
  /** How many times the present price of gas the coin is kept for that claims and refunds of open swaps may take. */
  feeHeadroom?: number;
  /** Who is asked before a managed account locks; nobody when left out. */
  approval?: ApprovalConfig | undefined;
  /** What an approval hook knows the service by. */
  approvalSecret?: Redacted<Hex> | undefined;
  /** While true nothing is decided: what is stored is behind the chains. Never where it is left out. */
  isHeld?: () => Promise<boolean>;
  /** One process looks for what is due; this one where it is left out. */
  leases?: Leases;
  clock: Clock;
  log: Log;
  /** Tells of work while it is done; only to the log where this is left out. */
  tracer?: Tracer;
  mark?: Mark;
};

/** Milliseconds that the indexer has to read a block that the sender has seen. */
const checkMs = 1_000;

const jobData = z.strictObject({ swap: jobId });
const batchData = z.strictObject({ batch: jobId.startsWith("swapbatch-"), mined: z.literal(true).optional() });
const claimRef = z.strictObject({ swap: jobId });

/** What the sender needs of swaps before it exists: the call that carries the secret, and the last checks. */
export function createSwapSending(deps: SwapDeps): {
  builders: Record<string, CallBuilder>;
  guards: Record<string, IntentGuard>;
} {
  const secrets = createSecretStore(deps);
  const chains = createSwapChains(deps);
  const reserves = createReserves({ ...deps, chains });
  const claim: CallBuilder = async (ref) => {
    const swap = foldSwap(await deps.store.load<SwapEvent>(deps.db, swapStream(claimRef.parse(ref).swap)));
    if (!swap) throw new Error("a claim was asked for without a swap");
    return claimCall(swap.terms.target, swap.hashlock, (await secrets.open(deps.db, swap.hashlock)).reveal());
  };
  return {
    builders: { [claimBuilder]: claim },
    guards: createSwapGuards({
      ...deps,
      chains,
      reserves,
      repricing: repricingOf(deps),
      brakes: createLastBrakes(deps),
    }),
  };
}

const repricingOf = (deps: SwapDeps) =>
  createRepricing(deps.desk && { config: deps.desk.config, prices: pricesOf(deps.desk.config, deps) });

/** The swap context: what it observes, the jobs it does, the routes it serves. */
export type SwapContext = {
  observer: ChainObserver;
  /** The jobs that an event asks for. */
  routes(event: StoredEvent): Job[];
  handlers: Readonly<Record<string, JobHandler>>;
  plugin(app: HttpServer): Promise<void>;
  /** To be called once. */
  gauge(metrics: Metrics): void;
  /** Finds and finishes locks of managed accounts that no swap here drives. */
  readonly recovery: Recovery;
  /** Says of every swap that has not ended that there may be signed transactions which are not known here. */
  markRestored(restore: string): Promise<number>;
  /** How many swaps with a leg on the chain, and watched locks there, have not ended. */
  unfinished(from: Queryable, chain: string): Promise<number>;
  start(): void;
  stop(): Promise<void>;
};

export function createSwaps(deps: SwapDeps & { sender: Sender }): SwapContext {
  const log = deps.log.child({ module: "swap" });
  const { tracer = untraced } = deps;
  const chains = createSwapChains(deps);
  const index = createSwapIndex(deps.db);
  const secrets = createSecretStore(deps);
  const braking = createBraking({ ...deps, chains, log });
  const reserves = createReserves({ ...deps, chains });
  const repricing = repricingOf(deps);
  const lockHolds = { holdOn: async (swap: Swap) => (await reserves.holdOn(swap)) ?? repricing.holdOn(swap) };
  const holdOf = async (swap: Swap) => (await braking.holdAndAsk(swap)) ?? lockHolds.holdOn(swap);
  const driver = createSwapDriver({ ...deps, chains, index, holdOf, tracer, log });
  const operatorPays = createOperatorPays({ config: deps.watchtower, chains });
  const requester = createSwapRequester({ ...deps, chains, secrets, operatorPays, reserves, ...braking });
  const handIn = createHandIn({ ...deps, chains, secrets });
  const quoting = createQuoting({ ...deps, chains, reserves, log });
  const swapRoutes = createSwapRoutes({ ...deps, chains, driver, requester, quoting, handIn, lockHolds, ...braking });
  const scheduler = createScheduler({ ...deps, what: "swap", index, driver, log });
  const watchtower = createWatchtower({ ...deps, chains, config: deps.watchtower, tracer, log });
  const { leases = alwaysHeld(deps.db) } = deps;
  const timed = [
    { lease: leases.of("due/swaps"), work: scheduler },
    { lease: leases.of("due/watches"), work: watchtower },
  ];
  return {
    observer: combineObservers([
      { ...createSwapObserver({ ...deps, chains, index }), check: createLegCheck({ ...deps, chains }) },
      createLockLedger({ chains, news: watchtower.news }),
    ]),
    routes: (event) => [...advanceJobs(event), ...watchJobs(event)],
    handlers: {
      [advanceJob]: async (data) => driver.advance(parseJob(jobData, data).swap),
      [advanceBatchJob]: async (data) => {
        const { batch, mined } = parseJob(batchData, data);
        const members = await membersOf(deps, batch);
        if (mined) return checkMembers(deps.db, members, new Date(deps.clock.now() + checkMs));
        await Promise.all(members.swaps.map(driver.advance));
      },
      ...watchtower.handlers,
    },
    async plugin(app) {
      await swapRoutes(app);
      await quoting.plugin(app);
      await watchtower.plugin(app);
      await braking.plugin(app);
    },
    gauge: (metrics) => gaugeSwaps(metrics, deps),
    unfinished: async (from, chain) => (await countOpenSwaps(from, chain)) + (await countWatches(from, chain)),
    recovery: watchtower.recovery,
    markRestored: createRestoredMarks(deps),
    start() {
      for (const { lease, work } of timed) lease.contend(work);
    },
    async stop() {
      await Promise.all([...timed.map(({ lease }) => lease.leave()), braking.stop()]);
    },
  };
}
