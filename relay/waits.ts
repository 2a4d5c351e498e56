import type { Db, Queryable } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Log } from "#core/observe/log.ts";
import { type Lane, laneName } from "./lane.ts";
import { clearTrouble, noteTrouble, troubles } from "./laneState.ts";
import { waitMs } from "./ramp.ts";
import type { ReasonCode } from "./reasons.ts";

/** What lanes wait for, with the place of each in its ramp; kept in the database, so a restart goes on where it was. */
export type Waits = {
  /**
   * Notes that a lane waits, one step further in the ramp of the reason; `dueAt` (Unix milliseconds) where it is known
   * when the wait ends. Looks that something else asked for in between do not use up the ramp.
   */
  note(lane: Lane, code: ReasonCode, detail: string, dueAt?: number): Promise<void>;
  /** Whether the lane waits for this and its next attempt is not due. */
  holds(lane: Lane, code: ReasonCode): Promise<boolean>;
  /** The lane goes on. */
  clear(to: Queryable, lane: Lane): Promise<void>;
};

export function createWaits({ db, clock, log }: { db: Db; clock: Clock; log: Log }): Waits {
  const isHeld = (held: { code: string; dueAt: Date } | undefined, code: ReasonCode): boolean =>
    held?.code === code && held.dueAt.getTime() > clock.now();
  return {
    async note(lane, code, detail, dueAt) {
      const before = (await troubles(db)).get(laneName(lane));
      if (before?.detail === detail && isHeld(before, code)) return;
      const held = isHeld(before, code) ? before : undefined;
      const misses = held?.misses ?? (before?.code === code ? before.misses + 1 : 1);
      const due = dueAt ?? held?.dueAt.getTime() ?? clock.now() + waitMs(code, misses);
      await noteTrouble(db, lane, { code, detail, dueAt: new Date(due), misses });
      log.info({ lane: laneName(lane), code, misses }, "lane waits");
    },
    holds: async (lane, code) => isHeld((await troubles(db)).get(laneName(lane)), code),
    clear: clearTrouble,
  };
}
