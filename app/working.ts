import { type Clock, systemClock } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Log } from "#core/observe/log.ts";
import type { JobHandler, Queue } from "#core/queue/queue.ts";
import type { Part } from "./lifecycle.ts";

const lookMs = 1_000;

/**
 * Works on jobs, from the time on when the queue is there: a process that is started without it claims and refunds by its
 * schedulers, as one that runs already does.
 */
export function createWorking(deps: {
  queue: Queue;
  handlers: Readonly<Record<string, JobHandler>>;
  concurrency: number;
  log: Log;
  clock?: Clock;
}): Part {
  const { queue, handlers, concurrency, log, clock = systemClock } = deps;
  let loop: Loop | undefined;

  async function begin(): Promise<void> {
    await queue.assertAnswers();
    await queue.work(handlers, { concurrency });
  }

  return {
    async start() {
      try {
        await begin();
      } catch (error) {
        if (!isLockstepError(error, "queue-unreachable")) throw error;
        log.warn({ err: error }, "the work queue does not answer: work waits for schedulers until it does");
        loop = startLoop({
          step: () => begin().then(() => "fatal" as const),
          ...{ clock, idleMs: lookMs, backoff: { firstMs: lookMs, maxMs: lookMs } },
          onError: (reason, { fatal }) =>
            fatal
              ? log.error({ err: reason }, "the work queue cannot be used: work waits for schedulers")
              : log.debug({ err: reason }, "the work queue does not answer yet"),
        });
      }
    },
    async stop() {
      await queue.close();
      await loop?.stop();
    },
  };
}
