import type { Metrics } from "../observe/metrics.ts";
import type { Queue } from "./queue.ts";

/** How many jobs there are of each name that this process works on, whoever has them. One that works on none asks nothing. */
export function gaugeQueue(metrics: Metrics, queue: Pick<Queue, "counts">, names: readonly string[]): void {
  // Not `job`: that is what Prometheus calls a group of those whom it asks.
  metrics.gauge("queue_jobs", "Jobs that are not done", ["queue", "state"], async (set) => {
    if (names.length === 0) return;
    for (const [name, counts] of await queue.counts(names)) {
      for (const [state, count] of Object.entries(counts)) set({ queue: name, state }, count);
    }
  });
}
