import type { Clock } from "#core/kernel/clock.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Log } from "#core/observe/log.ts";

/** How often the scheduler looks for what is due, in milliseconds. */
const lookMs = 250;
const batch = 50;
/** How long what could not be looked at lets others go first, in milliseconds. */
const putOffMs = 3_000;

/** What is to be advanced, and who does it. */
export type Scheduled = {
  /** What it is called in the log. */
  what: "swap" | "watch";
  index: {
    /** Ids whose time has come, the most overdue first. */
    due(now: Date, limit: number): Promise<string[]>;
    /** Puts off one that could not be looked at. */
    postpone(id: string, at: Date): Promise<void>;
  };
  driver: { advance(id: string): Promise<void> };
};

/**
 * Advances everything whose time has come: timelocks and deadlines pass without an event, and a job can be lost with
 * the queue. Goes to the driver directly, so that nothing bound to a deadline waits for a queue or a projection.
 */
export function createScheduler(deps: Scheduled & { clock: Clock; log: Log }): {
  start(): void;
  stop(): Promise<void>;
} {
  let loop: Loop | undefined;
  async function advance(id: string): Promise<void> {
    try {
      await deps.driver.advance(id);
    } catch (error) {
      deps.log.warn({ err: error, [deps.what]: id }, "could not be advanced");
      await deps.index.postpone(id, new Date(deps.clock.now() + putOffMs));
    }
  }
  const step = async () => {
    const due = await deps.index.due(new Date(deps.clock.now()), batch);
    await Promise.all(due.map(advance));
    return due.length === batch ? ("continue" as const) : ("idle" as const);
  };
  return {
    start() {
      loop ??= startLoop({
        step,
        clock: deps.clock,
        idleMs: lookMs,
        onError: (error) => deps.log.warn({ err: error }, "looking for what is due failed"),
      });
    },
    stop: async () => loop?.stop(),
  };
}
