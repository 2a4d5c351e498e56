import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { JourneySource } from "./journeys.ts";
import type { StoredEvent } from "./store.ts";

/** Upper bounds in seconds: from a job that is taken at once to a timelock. */
const buckets = [0.1, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3_600, 14_400];
/** Messages and swaps of which the times are taken, of all that a batch of events is about. */
const mostAtOnce = 20;
/** Of all time that looking at histories may take: what is read for the sake of numbers must not slow what they are of. */
const share = 0.1;

/**
 * Takes the times of stages, by stage, lane and outcome, from events as they are read. Under load it takes those of some:
 * a batch that comes while one is looked at, or right after, is passed over, so that nobody waits for it.
 */
export function createStageTimes(deps: {
  readonly sources: readonly JourneySource[];
  readonly metrics: Pick<Metrics, "histogram">;
  readonly log: Log;
}): (events: readonly StoredEvent[]) => void {
  const { sources, log } = deps;
  const seconds = deps.metrics.histogram(
    "stage_seconds",
    "How long the stages of messages, swaps and their transactions took; of some of them under load",
    buckets,
  );
  let isBusy = false;

  async function observe(events: readonly StoredEvent[]): Promise<void> {
    const positions = new Set(events.map(({ position }) => position));
    for (const source of sources) {
      const chosen = new Set<string>();
      const keeps = (tracking: string) => chosen.size < mostAtOnce && chosen.add(tracking).has(tracking);
      const stages = await source.stagesOf(events, keeps, mostAtOnce);
      for (const { name, start, end, error, route, position, countedAt } of stages) {
        if (route === undefined || !positions.has(countedAt ?? position)) continue;
        seconds({ stage: name, route, outcome: error ?? "ok" }, Math.max(0, end - start) / 1_000);
      }
    }
  }

  return (events) => {
    if (isBusy || events.length === 0) return;
    isBusy = true;
    const begun = performance.now();
    void observe(events)
      .catch((error: unknown) => log.debug({ err: error }, "times of stages could not be taken"))
      .then(() => sleep((performance.now() - begun) * (1 / share - 1), undefined, { ref: false }))
      .then(() => {
        isBusy = false;
      });
  };
}
