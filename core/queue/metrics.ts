import { isLockstepError } from "../kernel/errors.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { JobHandler, Queue } from "./queue.ts";

/**
 * Whether the queue answers, and how many jobs there are of each name that this process works on, whoever has them. One that
 * works on none asks nothing.
 */
export function gaugeQueue(
  metrics: Metrics,
  queue: Pick<Queue, "counts" | "assertAnswers">,
  names: readonly string[],
): void {
  metrics.gauge("queue_answers", "1 while the work queue answers", [], async (set) => {
    if (names.length === 0) return;
    const answers = await queue.assertAnswers().then(
      () => 1,
      () => 0,
    );
    set({}, answers);
  });
  // Not `job`: that is what Prometheus calls a group of those whom it asks.
  metrics.gauge("queue_jobs", "Jobs that are not done", ["queue", "state"], async (set) => {
    if (names.length === 0) return;
    for (const [name, counts] of await queue.counts(names)) {
      for (const [state, count] of Object.entries(counts)) set({ queue: name, state }, count);
    }
  });
}

/** Upper bounds in seconds. */
const buckets = [0.005, 0.02, 0.1, 0.5, 2, 10, 60];

/** The same handlers, with how long each job took and what came of it told. */
export function timedHandlers(
  metrics: Pick<Metrics, "histogram">,
  handlers: Readonly<Record<string, JobHandler>>,
): Readonly<Record<string, JobHandler>> {
  const seconds = metrics.histogram("queue_job_seconds", "Jobs that were worked on, by what came of them", buckets);
  const timed = (queue: string, handler: JobHandler): JobHandler =>
    async function work(data) {
      const begun = performance.now();
      const tell = (outcome: string) => seconds({ queue, outcome }, (performance.now() - begun) / 1_000);
      try {
        await handler(data);
        tell("done");
      } catch (error) {
        tell(isLockstepError(error) ? error.code : "failed");
        throw error;
      }
    };
  return Object.fromEntries(Object.entries(handlers).map(([queue, handler]) => [queue, timed(queue, handler)]));
}
