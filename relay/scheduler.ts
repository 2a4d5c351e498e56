import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Log } from "#core/observe/log.ts";
import { type Lanes, laneName } from "./lane.ts";
import { lanesWithBacklog, troubles } from "./laneState.ts";
import type { LaneRunner } from "./runner.ts";

const lookEveryMs = 1_000;

/**
 * Looks at lanes whose next attempt is due, and at any lane with a backlog that nothing holds up: whatever a lost job or
 * wake-up should have done is done here a second later.
 */
export function createLaneScheduler(deps: { db: Db; lanes: Lanes; runner: LaneRunner; clock: Clock; log: Log }) {
  const { db, lanes, runner, clock, log } = deps;
  let loop: Loop | undefined;

  async function step(): Promise<"idle"> {
    const [waiting, held] = await Promise.all([lanesWithBacklog(db, lanes.all), troubles(db)]);
    for (const lane of waiting) {
      const dueAt = held.get(laneName(lane))?.dueAt.getTime() ?? 0;
      if (dueAt <= clock.now()) runner.wake(lane);
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
