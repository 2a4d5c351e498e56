import type { Metrics } from "../observe/metrics.ts";
import type { Queue } from "./queue.ts";

/** How many jobs there are of each name that this process works on, whoever has them. One that works on none asks nothing. */
export function gaugeQueue(metrics: Metrics, queue: Pick<Queue, "counts">, names: readonly string[]): void {
  metrics.gauge("queue_jobs", "Jobs that are not done", ["job", "state"], async (set) => {
    if (names.length === 0) return;
    for (const [job, counts] of await queue.counts(names)) {
      for (const [state, count] of Object.entries(counts)) set({ job, state }, count);
    }
  });
}
