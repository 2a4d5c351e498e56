import type { Db } from "../db/db.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../observe/log.ts";
import type { Stage } from "../observe/tracing.ts";
import type { TrackingId } from "../observe/tracking.ts";
import type { EndedStage } from "./stages.ts";
import type { EventStore, StoredEvent } from "./store.ts";
import { createSubscription } from "./subscription.ts";

/** Tells which stages of which journeys new events have ended. */
export type JourneySource = {
  /**
   * Only of what `keeps` says yes to; with `most` it says so to the first that it is asked about, and no more of them need be
   * looked for. Stages that other events than these have ended are passed over by who asks.
   */
  stagesOf(
    events: readonly StoredEvent[],
    keeps: (tracking: TrackingId) => boolean,
    most?: number,
  ): Promise<readonly EndedStage[]>;
};

type Deps = {
  readonly db: Db;
  readonly store: Pick<EventStore, "readAll" | "onAppended" | "bounds">;
  readonly sources: readonly JourneySource[];
  keeps(tracking: TrackingId): boolean;
  /** Throws a retryable error when they have to be told again. */
  deliver(stages: readonly Stage[], signal: AbortSignal): Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
};

/** Of the checkpoint; for ever. It stands still where nothing is traced any more. */
export const journeysName = "traces";
/** Milliseconds after which nobody is told any more: a collector that was away gets what it missed for so long. */
const longestAgoMs = 3_600_000;
const batch = 200;

/**
 * Turns stored events into stages of traces, one process at a time. Nothing of a journey lives in memory: a stage is told
 * from the history, and told again with the same ids when it is not known whether it arrived. So a process that ends, a job
 * that is lost and a collector that is away for a while leave no hole.
 */
export function createJourneys(deps: Deps): { start(): void; stop(): Promise<void> } {
  const { db, store, sources, keeps, clock, log } = deps;
  let stopping = new AbortController();

  const subscription = createSubscription({
    ...{ name: journeysName, db, log, clock, batch, store: { ...store, readAll: fromNowOn(store) } },
    async handle(events) {
      const since = clock.now() - longestAgoMs;
      const recent = events.filter(({ at }) => at.getTime() >= since);
      if (recent.length === 0) return;
      const positions = new Set(recent.map(({ position }) => position));
      const found = await Promise.all(sources.map((source) => source.stagesOf(recent, keeps)));
      const ended = found.flat().filter(({ position }) => positions.has(position));
      if (ended.length > 0) await deps.deliver(ended, stopping.signal);
    },
  });

  return {
    start() {
      stopping = new AbortController();
      subscription.start();
    },
    async stop() {
      stopping.abort();
      await subscription.stop();
    },
  };
}

/** The first time there is no sense in telling all there ever was: the newest event is the one to go on from. */
function fromNowOn(store: Deps["store"]): EventStore["readAll"] {
  return async (after, limit, except) => {
    if (after > 0n) return store.readAll(after, limit, except);
    const { last } = await store.bounds();
    return last === 0n ? [] : store.readAll(last - 1n, 1);
  };
}
