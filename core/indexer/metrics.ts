import type { Metrics } from "../observe/metrics.ts";
import type { Indexer } from "./createIndexer.ts";

/** How far the indexers are, whenever somebody looks. `now`: milliseconds since 1970. */
export function gaugeIndexers(
  metrics: Metrics,
  indexers: () => Iterable<Pick<Indexer, "status">>,
  now: () => number = Date.now,
): void {
  const all = () => [...indexers()].map((indexer) => indexer.status());
  metrics.gauge("indexer_lag_blocks", "Blocks of the chain that are not indexed yet", ["chain"], (set) => {
    for (const { chain, head, indexed } of all()) {
      if (head !== undefined && indexed !== undefined) set({ chain }, Math.max(0, Number(head - indexed)));
    }
  });
  metrics.gauge("indexer_block", "Last block that was indexed, and last final one", ["chain", "which"], (set) => {
    for (const { chain, indexed, final } of all()) {
      if (indexed !== undefined) set({ chain, which: "indexed" }, Number(indexed));
      if (final !== undefined) set({ chain, which: "final" }, Number(final));
    }
  });
  metrics.gauge("indexer_state", "1 for the state that an indexer is in", ["chain", "state"], (set) => {
    for (const { chain, state } of all()) set({ chain, state }, 1);
  });
  metrics.gauge("indexer_healthy_seconds", "Since a look at the chain last went well", ["chain"], (set) => {
    for (const { chain, state, healthyAt } of all()) {
      // One that is stopped looks no more: another process has the chain.
      if (state !== "stopped" && healthyAt !== undefined) set({ chain }, Math.max(0, now() - healthyAt) / 1_000);
    }
  });
}
