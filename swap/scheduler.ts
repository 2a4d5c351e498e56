import type { Clock } from "#core/kernel/clock.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Log } from "#core/observe/log.ts";

/** How often the scheduler looks for what is due, in milliseconds. */
const lookMs = 250;
/** Looks under way at a time, of those that make progress. */
const batch = 50;
/** After so many milliseconds a look waits for something that is silent, such as a chain, and stands in nobody's way. */
const slowMs = 1_000;
/** How long what could not be looked at lets others go first, in milliseconds. */
const putOffMs = 3_000;

/** What is to be advanced, and who does it. */
export type Scheduled = {
  /** What it is called in the log. */
  what: "swap" | "watch";
  index: {
    /** Ids whose time has come, the most overdue first. */
    due(now: Date, limit: number, except: readonly string[]): Promise<string[]>;
    /** Puts off one that could not be looked at. */
    postpone(id: string, at: Date): Promise<void>;
  };
  driver: { advance(id: string): Promise<void> };
};

/**
 * Advances everything whose time has come: timelocks and deadlines pass without an event, and a job can be lost with
 * the queue. Goes to the driver directly, so that nothing bound to a deadline waits for a queue or a projection. None waits
 * for another either: what hangs because its chain does goes on hanging by itself.
 */
export function createScheduler(deps: Scheduled & { clock: Clock; log: Log }): {
  start(): void;
  stop(): Promise<void>;
} {
  let loop: Loop | undefined;
  const running = new Map<string, { readonly since: number; readonly ended: Promise<void> }>();
  let more = false;

  async function advance(id: string): Promise<void> {
    try {
      await deps.driver.advance(id);
    } catch (error) {
      deps.log.warn({ err: error, [deps.what]: id }, "could not be advanced");
      await deps.index.postpone(id, new Date(deps.clock.now() + putOffMs)).catch((cause: unknown) => {
        deps.log.warn({ err: cause, [deps.what]: id }, "could not be put off");
      });
    } finally {
      running.delete(id);
      if (more) loop?.wake();
    }
  }

  const step = async () => {
    const now = deps.clock.now();
    const room = batch - [...running.values()].filter(({ since }) => now - since < slowMs).length;
    if (room <= 0) return "idle" as const;
    const due = await deps.index.due(new Date(now), room, [...running.keys()]);
    more = due.length === room;
    for (const id of due) running.set(id, { since: now, ended: advance(id) });
    return "idle" as const;
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
    async stop() {
      await loop?.stop();
      loop = undefined;
      await Promise.all([...running.values()].map(({ ended }) => ended));
    },
  };
}
