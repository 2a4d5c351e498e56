import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Log } from "#core/observe/log.ts";
import { lanesWithDueRetries } from "./failures.ts";
import { type LaneEnds, type Lanes, laneName } from "./lane.ts";
import { lanesWithBacklog, troubles } from "./laneState.ts";
import type { LaneRunner } from "./runner.ts";

type Deps = {
  db: Db;
  lanes: Lanes;
  /** Whether this process delivers the lane; others do the rest. */
  owns(lane: LaneEnds): boolean;
  runner: LaneRunner;
  /** Takes retries of failed messages; undefined where they are only retried when asked. */
  retries: LaneRunner | undefined;
  sweep(): Promise<void>;
  clock: Clock;
  log: Log;
};

const lookEveryMs = 1_000;
const sweepEveryMs = 15_000;

/**
 * Looks at lanes whose next attempt is due, and at any lane with a backlog that nothing holds up: whatever a lost job or
 * wake-up should have done is done here a second later. It waits for no lane, so that none waits for another.
 */
export function createLaneScheduler({ db, lanes, owns, runner, retries, sweep, clock, log }: Deps) {
  let loop: Loop | undefined;
  let sweptAt = Number.NEGATIVE_INFINITY;

  async function step(): Promise<"idle"> {
    const [waiting, held] = await Promise.all([lanesWithBacklog(db, lanes.all.filter(owns)), troubles(db)]);
    for (const lane of waiting) {
      const dueAt = held.get(laneName(lane))?.dueAt.getTime() ?? 0;
      // Asked once more: it may have gone to another process meanwhile.
      if (dueAt <= clock.now() && owns(lane)) runner.wake(lane);
    }
    if (retries) {
      const due = new Set((await lanesWithDueRetries(db, clock.now())).map(laneName));
      for (const lane of lanes.all) if (owns(lane) && due.has(laneName(lane))) retries.wake(lane);
    }
    if (clock.now() - sweptAt >= sweepEveryMs) {
      sweptAt = clock.now();
      await sweep();
    }
    return "idle";
  }

  return {
    start() {
      loop ??= startLoop({
        step,
        clock,
        idleMs: lookEveryMs,
        onError: (error, { failures }) => log.warn({ err: error, failures }, "lane scheduler failed, trying again"),
      });
    },
    async stop(): Promise<void> {
      await loop?.stop();
      loop = undefined;
    },
  };
}
