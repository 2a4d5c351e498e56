import type { Partitions } from "../events/partitions.ts";
import { type Clock, systemClock } from "../kernel/clock.ts";
import { isLockstepError } from "../kernel/errors.ts";
import { type Loop, startLoop } from "../kernel/loop.ts";
import type { LeasedWork } from "../lease/lease.ts";
import type { Log } from "../observe/log.ts";
import type { Archiver } from "./archiver.ts";

/** Longest time until a run that failed is made again, in milliseconds. */
const retryMs = 300_000;

/**
 * Keeps partitions open ahead and, where there is an archive, moves what may go to it, over and over: the work of one
 * process at a time. A run that fails is made again, whatever it failed by.
 */
export function createArchiveKeeper(deps: {
  partitions: Partitions;
  /** Nothing leaves without. */
  archivers: readonly Archiver[];
  everyMs: number;
  /** While nothing may move, partitions are kept all the same. */
  mayMove(): Promise<boolean>;
  failed(code: string): void;
  log: Log;
  clock?: Clock;
}): LeasedWork {
  const { partitions, archivers, everyMs, mayMove, failed, log, clock = systemClock } = deps;
  let loop: Loop | undefined;

  async function step(signal: AbortSignal) {
    await partitions.keepUp();
    if (archivers.length === 0 || !(await mayMove())) return "idle" as const;
    for (const archiver of archivers) {
      const report = await archiver.run(signal);
      if (report.files > 0) log.info(report, "moved what has ended to the archive");
    }
    const joined = await partitions.carryOver();
    if (joined > 0) log.info({ partitions: joined }, "joined what is left of old partitions");
    return "idle" as const;
  }

  return {
    start() {
      loop ??= startLoop({
        step: (signal) =>
          step(signal).catch((error: unknown) => {
            if (signal.aborted) return "idle" as const;
            failed(isLockstepError(error) ? error.code : "internal");
            throw new Error("the archive could not be kept up", { cause: error });
          }),
        ...{ clock, idleMs: everyMs, backoff: { firstMs: 1_000, maxMs: retryMs } },
        onError: (error, { retryInMs }) =>
          log.error({ err: error, retry_in_ms: retryInMs }, "the archive could not be kept up, trying again"),
      });
    },
    async stop() {
      await loop?.stop();
      loop = undefined;
    },
  };
}
