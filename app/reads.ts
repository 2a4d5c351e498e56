import type { ArchiveStorage } from "#core/archive/storage.ts";
import type { Env } from "#core/config/env.ts";
import type { Db } from "#core/db/db.ts";
import { createReads, type ReadPlace } from "#core/db/reads.ts";
import { createReplica, replicaStates } from "#core/db/replica.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { createRoutedStore } from "#core/events/routedStore.ts";
import type { EventSchemas, EventStore } from "#core/events/store.ts";
import type { HealthCheck } from "#core/http/health.ts";
import { createPositions, type Positions } from "#core/http/positions.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Log } from "#core/observe/log.ts";
import type { Metrics } from "#core/observe/metrics.ts";
import { archivedHistories } from "./archive.ts";
import type { Part } from "./lifecycle.ts";

/** What the API reads at a replica where there is one. */
export type ServiceReads = Part & {
  /** For what the API shows and nothing is decided by. */
  readonly shown: { readonly db: Db; readonly store: EventStore };
  readonly positions: Positions;
  readonly check: HealthCheck;
};

type Deps = {
  readonly env: Pick<Env, "DATABASE_READ_URL">;
  readonly db: Db;
  readonly schema: string;
  readonly store: EventStore;
  readonly schemas: EventSchemas;
  readonly remembers: (stream: string) => boolean;
  readonly storage: ArchiveStorage | undefined;
  readonly metrics: Metrics;
  readonly clock: Clock;
  readonly log: Log;
};

/** Undefined without DATABASE_READ_URL: then all is read where it is written. */
export function createServiceReads(deps: Deps): ServiceReads | undefined {
  const { db, schema, schemas, remembers, storage, metrics, clock, log } = deps;
  const connectionString = deps.env.DATABASE_READ_URL;
  if (connectionString === undefined) return undefined;
  const replica = createReplica({ connectionString, primary: db, schema, clock, log });
  const count = metrics.counter("reads_total", "Queries of the API for what it shows, by where they were answered");
  const reads = createReads({ primary: db, replica, onRead: (place: ReadPlace) => count({ place }) });
  const replicaDb: Db = { ...db, ...replica.db };
  const archived = archivedHistories(replicaDb, storage);
  const replicaStore = createEventStore({ db: replicaDb, schemas, log, clock, remembers, archived });
  const store = createRoutedStore({
    reads,
    primary: { store: deps.store, db },
    replica: { store: replicaStore, db: replicaDb },
  });
  metrics.gauge("read_replica_state", "1 for the present state of the replica", ["state"], (set) => {
    const now = replica.status().state;
    for (const state of replicaStates) set({ state }, state === now ? 1 : 0);
  });
  metrics.gauge("read_replica_lag_seconds", "For how long the replica lacks something, at most", [], (set) => {
    const { lagMs } = replica.status();
    if (lagMs !== undefined) set({}, lagMs / 1_000);
  });
  return {
    shown: { db: reads.db, store },
    positions: createPositions(reads),
    check: {
      name: "read replica",
      async check() {
        const { state } = replica.status();
        return state === "used" ? undefined : { warning: `it is ${state}; reads go to the primary` };
      },
    },
    start: async () => replica.start(),
    stop: replica.stop,
  };
}
