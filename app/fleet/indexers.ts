import { createIndexer, type Indexer, type IndexerDeps } from "#core/indexer/createIndexer.ts";
import type { ChainObserver } from "#core/indexer/observer.ts";
import type { Live } from "#core/kernel/live.ts";
import { createRoster, type Roster } from "#core/kernel/roster.ts";
import type { Leases } from "#core/lease/lease.ts";
import type { ChainEntry } from "../registry/registry.ts";
import { leasedIndexer } from "./leasedIndexer.ts";

type Deps = Omit<IndexerDeps, "chain" | "config" | "db" | "observers"> & {
  /** Chains that this process reads when its turn comes. */
  readonly live: Live<ChainEntry>;
  readonly leases: Leases;
  /** Asked for once all of the service is there. */
  observers(): readonly ChainObserver[];
};

/** An indexer for each chain, started anew where what it reads by has changed. */
export function createIndexers({ live, leases, observers, ...deps }: Deps): Roster<Indexer> {
  return createRoster<ChainEntry, Indexer>({
    live,
    create: ({ access: chain, settings }, name) =>
      leasedIndexer(leases.of(`indexer/${name}`), (db) =>
        createIndexer({ ...deps, chain, config: settings, db, observers: observers() }),
      ),
    keeps: (indexer, before, after) => indexer.status().state !== "halted" && readsAlike(before, after),
    onError: (error, chain) => deps.log.error({ err: error, chain }, "an indexer did not start or stop"),
  });
}

/** True when an indexer of the one reads as one of the other would. */
function readsAlike({ settings: a }: ChainEntry, { settings: b }: ChainEntry): boolean {
  return a.pollMs === b.pollMs && a.logWindow === b.logWindow && a.recheckMs === b.recheckMs;
}
