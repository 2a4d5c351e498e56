import type { LeaseKeeper } from "#core/lease/keeper.ts";
import type { Metrics } from "#core/observe/metrics.ts";

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
