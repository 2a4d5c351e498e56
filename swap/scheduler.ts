import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Log } from "#core/observe/log.ts";
import type { SwapDriver } from "./driver.ts";
import { dueSwaps } from "./readModel.ts";

/** How often the scheduler looks for swaps whose time has come, in milliseconds. */
const lookMs = 250;
const batch = 50;

/**
 * Advances every swap whose time has come: timelocks and deadlines pass without an event, and a job can be lost with
 * the queue. Goes to the driver directly, so that nothing bound to a deadline waits for a queue or a projection.
 */
export function createSwapScheduler(deps: { db: Db; driver: SwapDriver; clock: Clock; log: Log }): {
  start(): void;
  stop(): Promise<void>;
} {
  let loop: Loop | undefined;
  const step = async () => {
    const due = await dueSwaps(deps.db, new Date(deps.clock.now()), batch);
    const results = await Promise.allSettled(due.map((id) => deps.driver.advance(id)));
    for (const result of results) {
      if (result.status === "rejected") deps.log.warn({ err: result.reason }, "swap could not be advanced");
    }
    return "idle" as const;
  };
  return {
    start() {
      loop ??= startLoop({
        step,
        clock: deps.clock,
        idleMs: lookMs,
        onError: (error) => deps.log.warn({ err: error }, "looking for due swaps failed"),
      });
    },
    stop: async () => loop?.stop(),
  };
}
