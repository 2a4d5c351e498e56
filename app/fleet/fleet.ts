import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { ServiceConfig } from "#core/config/service.ts";
import type { Db } from "#core/db/db.ts";
import type { HealthCheck } from "#core/http/health.ts";
import type { IndexerStatus } from "#core/indexer/createIndexer.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createInstanceRoll, type InstanceReport, type InstanceRoll, type Peer } from "#core/lease/instances.ts";
import { createLeases, type LeaseKeeper } from "#core/lease/keeper.ts";
import { freeLeasesOfOthers } from "#core/lease/tables.ts";
import type { Log } from "#core/observe/log.ts";
import type { LaneStatus } from "#core/sender/lane.ts";
import type { Part } from "../lifecycle.ts";
import type { ConfigFacts } from "../liveConfig.ts";
import { version } from "../version.ts";
import { reportOf, statusFrom } from "./chainStatus.ts";
import type { Load } from "./load.ts";

/** This process among those that work on the same database. */
export type Fleet = Part & {
  /** Of this process, until it ends. */
  readonly id: string;
  readonly leases: LeaseKeeper;
  readonly roll: Pick<InstanceRoll, "list" | "askToDrain">;
  /** How far chains are read, whichever process reads them; one that nobody reads is not in it. */
  chains(): Promise<ReadonlyMap<string, IndexerStatus>>;
  /** Resolves, with who asked for it, once this process is to give its work up and only go on answering requests. */
  readonly drainAsked: Promise<string>;
  /** From now on it says that it is not ready, and takes no more leases. */
  drain(by: string): Promise<void>;
  /** Whether others were at work when they were last counted. */
  hasOthers(): boolean;
  /** Whether another gets nothing into a block with the account at present. */
  isUnfitElsewhere(chain: string, account: string): boolean;
  /** Fails once it gives its work up, so that nobody sends it new requests. */
  readonly check: HealthCheck;
};

type Deps = {
  readonly config: Pick<ServiceConfig, "fleet" | "roles" | "swap">;
  readonly db: Db;
  /** Whether no other process can be on this database. */
  readonly alone: boolean;
  /** Milliseconds after which a chain's oldest waiting transaction counts as stuck. */
  stuckMs(chain: string): number;
  /** What this process does, as it tells the others. */
  indexers(): readonly IndexerStatus[];
  accounts(): readonly LaneStatus[];
  load: Load["measure"];
  /** Hears of what only a new start mends. */
  onHalt(error: unknown): void;
  configuration(): ConfigFacts;
  readonly clock: Clock;
  readonly log: Log;
};

export function createFleet(deps: Deps): Fleet {
  const { db, clock } = deps;
  const { leaseSeconds, instance } = deps.config.fleet;
  const { reactionSeconds } = deps.config.swap;
  const log = deps.log.child({ module: "fleet" });
  const id = randomUUID();
  const ms = leaseSeconds * 1_000;
  const host = hostname();
  const asked = Promise.withResolvers<string>();
  let drainedBy: string | undefined;
  const roll = createInstanceRoll({
    ...{ db, ms, report: createReport(deps), onDrain: asked.resolve },
    facts: { id, name: instance ?? host, host, pid: process.pid, version: version(), roles: deps.config.roles },
  });
  let others: readonly Peer[] = [];
  const rollCall = async (groups: readonly string[]) => {
    const peers = await roll.call(groups).catch((error: unknown) => {
      if (isLockstepError(error, "database-replaced")) deps.onHalt(error);
      throw error;
    });
    others = peers.filter((peer) => peer.id !== id);
    return peers;
  };
  const leases = createLeases({ db, instance: id, ms, rollCall, clock, log });
  return {
    ...{ id, leases, roll, drainAsked: asked.promise },
    check: {
      name: "drain",
      check: async () => (drainedBy === undefined ? undefined : `draining, as ${drainedBy} asked`),
    },
    hasOthers: () => others.length > 0,
    isUnfitElsewhere: (chain, account) => others.some(({ unfit }) => unfit.includes(`${chain}/${account}`)),
    async chains() {
      const own = deps.indexers().filter(({ state }) => state !== "stopped");
      // Only somebody else can read what is not read here.
      const all = own.length === deps.indexers().length && own.length > 0 ? [] : await roll.list();
      const told = all.filter((each) => each.isThere && each.id !== id).flatMap(({ report }) => report.chains);
      return new Map(
        [...told.flatMap((each) => statusFrom(each) ?? []), ...own].map((status) => [status.chain, status]),
      );
    },
    async start() {
      if (deps.alone) await freeLeasesOfOthers(db, id);
      else if (reactionSeconds < 2 * leaseSeconds)
        log.warn(
          { reaction_seconds: reactionSeconds, lease_seconds: leaseSeconds },
          "swap.reactionSeconds is less than two times fleet.leaseSeconds",
        );
      await roll.call([]);
      await leases.start();
    },
    async drain(by) {
      if (drainedBy !== undefined) return;
      drainedBy = by;
      log.info({ by }, "draining");
      await leases.drain();
    },
    async stop() {
      await leases.stop();
      await roll.leave();
    },
  };
}

/** How busy this process was since the last report, by which configuration it goes, and what it reads and sends. */
function createReport({ indexers, accounts, stuckMs, load, configuration }: Deps): () => InstanceReport {
  return () => {
    const chains = indexers().filter(({ state }) => state !== "stopped");
    const halted = [
      ...chains.flatMap(({ chain, state, error }) =>
        state === "halted" ? [`indexer ${chain}: ${error?.code ?? "halted"}`] : [],
      ),
      ...accounts().flatMap(({ chain, account, state, error }) =>
        state === "halted" ? [`sender ${account} on ${chain}: ${error?.code ?? "halted"}`] : [],
      ),
    ];
    return {
      ...load(),
      configuration: { ...configuration(), waiting: [...configuration().waiting] },
      memoryBytes: process.memoryUsage.rss(),
      unfit: accounts().flatMap(({ chain, account, state, oldestWaitingMs = 0 }) =>
        state === "halted" || oldestWaitingMs >= stuckMs(chain) ? [`${chain}/${account}`] : [],
      ),
      halted,
      chains: chains.map(reportOf),
    };
  };
}
