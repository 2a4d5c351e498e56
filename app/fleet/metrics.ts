import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { InstanceRoll } from "#core/lease/instances.ts";
import type { LeaseKeeper } from "#core/lease/keeper.ts";
import { listLeases } from "#core/lease/tables.ts";
import { type Metrics, sharing } from "#core/observe/metrics.ts";
import { stateOf } from "../api/instances.ts";

/** What this process alone does, whenever somebody looks. */
export function gaugeLeases(metrics: Metrics, leases: Pick<LeaseKeeper, "held" | "counts">): void {
  metrics.gauge("lease_term", "Term of each lease that this process has", ["lease"], (set) => {
    for (const { name, term } of leases.held()) set({ lease: name }, Number(term));
  });
  metrics.gauge(
    "lease_changes",
    "Leases that this process has won, and lost to others, since it began",
    ["change"],
    (set) => {
      const { won, lost } = leases.counts();
      set({ change: "won" }, won);
      set({ change: "lost" }, lost);
    },
  );
}

type Deps = { db: Db; roll: Pick<InstanceRoll, "list">; clock: Clock };

/** All processes and leases, whichever process is asked. */
export function gaugeFleet(metrics: Metrics, { db, roll, clock }: Deps): void {
  const read = sharing(roll.list);
  metrics.gauge("instances", "Processes that were heard of within the last week", ["state"], async (set) => {
    const states = Map.groupBy(await read(), stateOf);
    for (const state of ["working", "draining", "silent", "stopped"] as const) {
      set({ state }, states.get(state)?.length ?? 0);
    }
  });
  metrics.gauge(
    "instance_seen_seconds",
    "Since a process was heard of that has not ended",
    // Not `instance`: that is what Prometheus calls whom it asked.
    ["process"],
    async (set) => {
      // The newest of a name comes first: one that was started again is not missed.
      const newest = Map.groupBy(await read(), ({ name }) => name);
      for (const [process, [row]] of newest) {
        if (row && row.stoppedAt === undefined) {
          set({ process }, Math.max(0, clock.now() - row.seenAt.getTime()) / 1_000);
        }
      }
    },
  );
  metrics.gauge("lease_free_seconds", "For how long nobody has had a lease", ["lease"], async (set) => {
    for (const { name, holder, freeMs } of await listLeases(db)) {
      if (holder === undefined) set({ lease: name }, freeMs / 1_000);
    }
  });
}
