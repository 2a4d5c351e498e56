import { getAddress } from "viem";
import { z } from "zod";
import type { KeyStore } from "#core/chain/keys.ts";
import type { RelayConfig } from "#core/config/relay.ts";
import type { Db, Migration, Queryable, Tx } from "#core/db/db.ts";
import type { EventStore, Projection, StoredEvent } from "#core/events/store.ts";
import type { HttpServer } from "#core/http/server.ts";
import type { ChainObserver } from "#core/indexer/observer.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { type Live, mapLive } from "#core/kernel/live.ts";
import type { ClientCertificates } from "#core/kernel/postJson.ts";
import type { Redacted } from "#core/kernel/redacted.ts";
import { alwaysHeld, type Leases } from "#core/lease/lease.ts";
import type { Log } from "#core/observe/log.ts";
import type { Metrics } from "#core/observe/metrics.ts";
import { type Tracer, untraced } from "#core/observe/tracing.ts";
import { type Job, type JobHandler, jobId, parseJob } from "#core/queue/queue.ts";
import type { Sender, Waiting } from "#core/sender/sender.ts";
import { createRelayRoutes } from "./api.ts";
import { createAskHeader, createAsking, createAskValidator } from "./ask.ts";
import { attestationMigrations } from "./attestationStore.ts";
import { createAttestations } from "./attestations.ts";
import { createBridgeRoutes } from "./bridges/api.ts";
import { bridgeConcerns, bridgeMigrations } from "./bridges/states.ts";
import { createBridgeWatch } from "./bridges/watch.ts";
import { createCheckpointAuthority } from "./checkpointAuthority.ts";
import { createCollector } from "./collect.ts";
import { allOf, createCompletenessCheck } from "./completeness.ts";
import { createRecentContents } from "./contents.ts";
import { destinationMigrations } from "./destination.ts";
import { createLaneDriver } from "./driver.ts";
import { createDryRun } from "./dryRun.ts";
import { messageStream } from "./events.ts";
import { evidenceMigrations } from "./evidence.ts";
import { failedThereMigrations, failureMigrations, failureProjection, olderFailureMigrations } from "./failures.ts";
import { createFindings, findingMigrations, laneFindings } from "./findings.ts";
import { flightMigrations } from "./flights.ts";
import { deliverJob, jobsOf, settleJob } from "./jobs.ts";
import {
  configuredLanes,
  createLanes,
  type Lane,
  type LaneEnds,
  type LaneSetting,
  type Lanes,
  laneName,
  parseLaneName,
  type RelayChain,
} from "./lane.ts";
import { laneMigrations } from "./laneState.ts";
import { gaugeRelay } from "./metrics.ts";
import { createMisbehaviourBook, misbehaviourMigrations } from "./misbehaviour.ts";
import { createRelayObserver } from "./observer.ts";
import { orphanMigrations } from "./orphans.ts";
import { createLaneOwnership } from "./ownership.ts";
import { createPolicy } from "./policy.ts";
import { createHeaderCollector } from "./proof/collectHeader.ts";
import { headerMigrations } from "./proof/headerStore.ts";
import { createProofAuthority } from "./proof/proofAuthority.ts";
import { createRelayQueries } from "./queries.ts";
import { countUnfinished, messageMigrations, messageProjection } from "./readModel.ts";
import { reorganisationMigrations } from "./realignments.ts";
import { createReporter } from "./reporter.ts";
import { createMessageRequester } from "./request.ts";
import { createRequestSigner, type SignRequest } from "./requestSignature.ts";
import { createRetrier } from "./retrier.ts";
import { createMessageActions } from "./retry.ts";
import { createLaneRunner } from "./runner.ts";
import { runMigrations } from "./runs.ts";
import { createLaneScheduler } from "./scheduler.ts";
import { createSetFactsCheck, setMigrations, withSetFacts } from "./setFacts.ts";
import { createSettleSweep } from "./sweep.ts";
import { createValidatorBook } from "./validators.ts";

export { archiveMessages } from "./archive.ts";
export { isMessageStream } from "./events.ts";
export { createGatewayReader } from "./gateway.ts";
export { countedKinds } from "./intents.ts";
export { routeless } from "./jobs.ts";
export { createRelayJourneys } from "./journeys.ts";
export { type Lane, type LaneSetting, laneName, parseLaneName, type RelayChain, type WayOfDelivery } from "./lane.ts";
export { relayEvents } from "./laneEvents.ts";
export { type QuorumSet, toContractSet } from "./protocol/quorum.ts";
export { findMessageId } from "./readModel.ts";
export { createValidator, type Validator, type ValidatorDeps } from "./validator/validator.ts";
export { configuredSet } from "./validators.ts";

export const relayMigrations: readonly Migration[] = [
  ...messageMigrations,
  ...laneMigrations,
  ...orphanMigrations,
  ...attestationMigrations,
  ...runMigrations,
  ...reorganisationMigrations,
  ...setMigrations,
  ...misbehaviourMigrations,
  ...evidenceMigrations,
  ...headerMigrations,
  ...failureMigrations,
  ...destinationMigrations,
  ...olderFailureMigrations,
  ...failedThereMigrations,
  ...findingMigrations,
  ...flightMigrations,
  ...bridgeMigrations,
];
export const relayProjections: readonly Projection[] = [messageProjection, failureProjection];

export type RelayDeps = {
  db: Db;
  store: EventStore;
  /** Where what the API shows is read from, which decides nothing; the same as all else when left out. */
  shown?: { readonly db: Db; readonly store: EventStore };
  chains: Live<RelayChain>;
  /** Lanes to serve; those of the configuration when left out. */
  lanes?: Live<LaneSetting>;
  /** Throws `chain-unknown` or `chain-paused`, and keeps the chains from being removed until the transaction ends. */
  admit?(tx: Tx, chains: readonly string[]): Promise<void>;
  sender: Sender & { waiting?(): Promise<ReadonlyMap<string, Waiting>> };
  keyStore: KeyStore;
  /** For validators that are asked over TLS. */
  validatorTls?: Redacted<ClientCertificates> | undefined;
  config: RelayConfig;
  /** Account or pool of accounts that delivers; the configured account when left out. */
  payer?: string;
  /** One process delivers a lane; this one all where it is left out. */
  leases?: Leases;
  clock: Clock;
  log: Log;
  /** Tells of work while it is done; only to the log where this is left out. */
  tracer?: Tracer;
  random?: () => number;
  /** While true no lane is looked at: what is stored is behind the chains. Never where it is left out. */
  isHeld?: () => Promise<boolean>;
};

/** The relay context: what it observes, the jobs it does, the routes it serves. */
export type RelayContext = {
  observer: ChainObserver;
  /** The jobs that an event asks for. */
  routes(event: StoredEvent): Job[];
  handlers: Readonly<Record<string, JobHandler>>;
  plugin(app: HttpServer): Promise<void>;
  /** To be called once. */
  gauge(metrics: Metrics): void;
  /** How many messages from or to a chain, or of a lane, have no final outcome. */
  unfinished(from: Queryable, scope: { chain: string } | Lane): Promise<number>;
  /** What is wrong with lanes that are served, until somebody mends it, in words. */
  concerns(): Promise<readonly string[]>;
  /** Called with the lanes that have come since the last call or the creation; returns the way to stop. */
  onLanesAdded(tell: (lanes: readonly Lane[]) => void): () => void;
  /** Begins to deliver; without it the context only observes and answers. */
  start(): void;
  stop(): Promise<void>;
};

/** Relayers of other processes hear here that validators have said something about a lane, */
const attestedChannel = "lockstep_attested";
/** and that there is something to do for one. */
const wokenChannel = "lockstep_lane_woken";

const deliverData = z.strictObject({ lane: jobId });
const settleData = z.strictObject({ message: jobId, intent: jobId });

/** Throws `config-invalid` when the configured accounts or validators cannot work. */
export function createRelay(deps: RelayDeps): RelayContext {
  const { db, clock, config, leases = alwaysHeld(deps.db), tracer = untraced } = deps;
  const log = deps.log.child({ module: "relay" });
  const chains = mapLive(deps.chains, (chain): RelayChain => ({ ...chain, gateway: getAddress(chain.gateway) }));
  const lanes = createLanes({ chains, lanes: deps.lanes ?? configuredLanes(config.lanes) });
  const book = createValidatorBook({ db, lanes, config, clock });
  const misbehaviour = createMisbehaviourBook({ db, clock, log });
  const reporter = createReporter({ ...deps, lanes, book, account: config.account, log });
  const managed = new Set(deps.keyStore.names().map((name) => deps.keyStore.address(name)));
  const contents = createRecentContents();
  const attestations = createAttestations({
    ...{ db, lanes, book, misbehaviour, clock },
    heard: (lane) => heard(lane),
    proven: reporter.wake,
  });
  const asking = createAsking({
    timeoutMs: config.attestTimeoutMs,
    tls: deps.validatorTls,
    sign: requestSignerOf(deps),
    around: tracer.around,
  });
  const [ask, askHeader] = [createAskValidator(asking), createAskHeader(asking)];
  const collect = createCollector({ attestations, ask, misbehaviour, log });
  const collectHeader = createHeaderCollector({ ask: askHeader, misbehaviour, log });
  const { account, maxBatch } = config;
  const payer = deps.payer ?? account;
  const authorities = {
    checkpoint: createCheckpointAuthority({ db, attestations, collect, clock }),
    proof: createProofAuthority({ ...deps, collect: collectHeader, account: payer, log }),
  };
  const { keyStore, random = Math.random } = deps;
  const policy = createPolicy(config.policy, keyStore.names());
  const dryRun = createDryRun({ from: keyStore.address(account) });
  const parts = { ...deps, lanes, account: payer, random, tracer, log };
  const driver = createLaneDriver({ ...parts, authorities, contents, book, policy, dryRun, maxBatch });
  const runner = createLaneRunner({ driver, isHeld: deps.isHeld, log });
  const { retryFailed } = config;
  const actions = createMessageActions({ ...parts, retryFailed, policy });
  const retries = retryFailed
    ? createLaneRunner({ driver: createRetrier({ db, clock, log, actions, policy }), isHeld: deps.isHeld, log })
    : undefined;
  const bridges = createBridgeWatch({ ...deps, chains, bridges: config.bridges, lookMs: config.bridgeLookMs, log });
  const sweep = createSettleSweep({ db, actions });
  const ownership = createLaneOwnership({
    ...{ lanes, leases },
    onWon(lane) {
      driver.forget(lane);
      runner.wake(lane);
    },
    onLost: async (lane) => void (await Promise.all([runner.idle(lane), retries?.idle(lane)])),
  });
  const scheduler = createLaneScheduler({ db, lanes, owns: ownership.owns, runner, retries, sweep, clock, log });
  const alone = [leases.of("watch/bridges"), leases.of("watch/misbehaviour")] as const;
  let delivering = false;
  let unlisten: Promise<(() => Promise<void>)[]> | undefined;
  let forget: () => void = () => undefined;

  const find = (lane: Lane | undefined) => lane && lanes.find(lane);
  const wake = (lane: Lane | undefined) => {
    const known = find(lane);
    if (known && ownership.owns(known)) runner.wake(known);
  };
  const heard = (lane: LaneEnds | undefined) => {
    if (lane && ownership.owns(lane) && driver.heard(lane)) runner.wake(lane);
  };
  const tellOwner = (channel: string, lane: Lane) => db.query("SELECT pg_notify($1, $2)", [channel, laneName(lane)]);

  const messageRoutes = createRelayRoutes({
    requester: createMessageRequester({ ...deps, lanes, defaultAccount: config.senderAccount ?? account }),
    actions,
    queries: createRelayQueries({ ...deps, ...deps.shown, lanes, book, asking, retryFailed }),
    async receive(attestation) {
      const lane = await attestations.receive(attestation);
      if (!ownership.owns(lane)) await tellOwner(attestedChannel, lane);
    },
  });
  const bridgeRoutes = createBridgeRoutes({ db: deps.shown?.db ?? db, bridges: config.bridges });

  return {
    observer: withSetFacts(
      {
        ...createRelayObserver({ ...deps, chains, lanes, contents, managed, wake }),
        check: allOf([
          createSetFactsCheck({ db, lanes, known: BigInt(config.epoch) }),
          createCompletenessCheck({ db, lanes, findings: createFindings(db), log }),
        ]),
      },
      { chains, lanes, changed: book.changed },
    ),
    routes: jobsOf,
    handlers: {
      async [deliverJob](data) {
        // Only a wake-up: a job that waited for a look would be one fewer for other lanes while a chain hangs.
        const lane = find(parseLaneName(parseJob(deliverData, data).lane));
        if (lane && ownership.owns(lane)) runner.wake(lane);
        else if (lane) await tellOwner(wokenChannel, lane);
      },
      async [settleJob](data) {
        const { message, intent } = parseJob(settleData, data);
        await tracer.scope(messageStream(message), "message.settle", () => actions.settle(message, intent));
      },
    },
    async plugin(app) {
      await messageRoutes(app);
      await bridgeRoutes(app);
    },
    gauge: (metrics) => gaugeRelay(metrics, { db, lanes, book, clock }),
    unfinished: countUnfinished,
    async concerns() {
      const found = await laneFindings(db);
      const ofLanes = lanes.all.flatMap((lane) => {
        const finding = found.get(laneName(lane));
        return finding ? [`${finding.code}: ${laneName(lane)}: ${finding.detail}`] : [];
      });
      return [...ofLanes, ...(await bridgeConcerns(db, config.bridges))];
    },
    onLanesAdded: (tell) => watchAdded(lanes, tell),
    start() {
      if (delivering) return;
      delivering = true;
      scheduler.start();
      ownership.start();
      const [ofBridges, ofMisbehaviour] = alone;
      ofBridges.contend(bridges);
      forget = lanes.onChange(() => {
        for (const lane of lanes.all) if (!lane.hold) wake(lane);
      });
      if (config.reportEquivocation) ofMisbehaviour.contend(reporter);
      unlisten = Promise.all([
        db.listen(attestedChannel, (name) => heard(find(parseLaneName(name)))),
        db.listen(wokenChannel, (name) => wake(parseLaneName(name))),
      ]);
      unlisten.catch((error: unknown) =>
        log.warn({ err: error }, "cannot listen for other processes, polling instead"),
      );
    },
    async stop() {
      delivering = false;
      forget();
      await scheduler.stop();
      await Promise.all([ownership.stop(), ...alone.map((lease) => lease.leave())]);
      await Promise.all([runner.stop(), retries?.stop()]);
      for (const end of (await unlisten?.catch(() => undefined)) ?? []) await end();
    },
  };
}

function watchAdded(lanes: Lanes, tell: (added: readonly Lane[]) => void): () => void {
  let before = new Set(lanes.all.map(laneName));
  return lanes.onChange(() => {
    const added = lanes.all.filter((lane) => !before.has(laneName(lane)));
    before = new Set(lanes.all.map(laneName));
    if (added.length > 0) tell(added);
  });
}

/** Throws `account-unknown` when the account is none. */
function requestSignerOf({ config, keyStore, clock }: RelayDeps): SignRequest | undefined {
  const { identityAccount: name } = config;
  if (name === undefined) return undefined;
  keyStore.address(name);
  return createRequestSigner({ sign: (data) => keyStore.signTypedData(name, data), clock });
}
