import type { Env } from "#core/config/env.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";

/**
 * For fault drills: when it passes the mark the process kills itself, as `kill -9` would, or stops as a whole, once, until
 * it is sent SIGCONT.
 */
export function faultsAt({ LOCKSTEP_CRASH_AT: crash, LOCKSTEP_PAUSE_AT: pause }: Env): Mark {
  if (crash === undefined && pause === undefined) return noMark;
  let hasPaused = false;
  return (passed) => {
    if (passed === crash) process.kill(process.pid, "SIGKILL");
    if (passed !== pause || hasPaused) return;
    hasPaused = true;
    process.kill(process.pid, "SIGSTOP");
  };
}
