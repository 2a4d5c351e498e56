import { isLockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import { exitOf, exitTemporary } from "./exitCodes.ts";

/** How a process comes to its end in bounded time. */
export type Ending = {
  /**
   * From now on the process has so long to end in order; then it ends as it is, which loses nothing that a kill would not
   * lose, with the exit code of what failed. It keeps no process that has come to its end. Another call adds no time.
   */
  begin(failure?: unknown): void;
};

/** `ms`: milliseconds to end in order, asked when that begins. */
export function createEnding({ ms, log }: { ms: () => number; log: Log }): Ending {
  let hasBegun = false;
  let reason: unknown;

  function end(): void {
    // What it still waits for, by kind: sockets, timers, requests.
    const waitingFor = countEach(process.getActiveResourcesInfo());
    log.error({ waiting_for: waitingFor, err: reason }, "did not end in time, ending as it is");
    process.exit(isLockstepError(reason) ? exitOf(reason) : exitTemporary);
  }

  return {
    begin(failure) {
      reason ??= failure;
      if (hasBegun) return;
      hasBegun = true;
      setTimeout(end, ms()).unref();
    },
  };
}

const countEach = (names: readonly string[]): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(names, (name) => name)].map(([name, all]) => [name, all.length]));
