import type { RestoreHold } from "#core/backup/hold.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Log } from "#core/observe/log.ts";
import type { Part } from "../lifecycle.ts";

const lookMs = 250;

/**
 * Runs a part only while it is known what the accounts did since the backup, and at once where there is no hold: what
 * indexers read is told to belong to what was asked for by the transactions that are known, and a log is read once.
 */
export function afterScan(
  part: Part,
  deps: {
    hold: Pick<RestoreHold, "isHeld" | "isUnscanned">;
    /** Otherwise its start throws `restoring`: nobody is to be waited for. */
    awaits: boolean;
    clock: Clock;
    log: Log;
  },
): Part {
  const { hold, awaits, clock, log } = deps;
  let loop: Loop | undefined;
  let runs = false;
  return {
    async start() {
      if (!(await hold.isHeld())) return part.start();
      if (!awaits) {
        throw new LockstepError(
          "restoring",
          "the database was restored from a backup, and chains are not read before a service has found out what happened since",
        );
      }
      loop = startLoop({
        async step() {
          const mayRun = !(await hold.isUnscanned());
          if (mayRun && !runs) await part.start();
          // It has turned out that the accounts did more.
          if (!mayRun && runs) await part.stop();
          runs = mayRun;
          return (await hold.isHeld()) ? "idle" : "fatal";
        },
        clock,
        idleMs: lookMs,
        onError: (error) => log.warn({ err: error }, "it cannot be told whether chains may be read"),
      });
    },
    async stop() {
      await loop?.stop();
      await part.stop();
    },
  };
}
