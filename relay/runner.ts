import { isLockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import type { LaneDriver } from "./driver.ts";
import { type LaneEnds, laneName } from "./lane.ts";

/** Looks at lanes, each one at a time; wishes that come meanwhile become one further look. */
export type LaneRunner = {
  /** Resolves after a look that began after the call; rejects with what that look failed with. */
  run(lane: LaneEnds): Promise<void>;
  /** As `run`, for who does not wait: a failure is logged, and the scheduler looks again. */
  wake(lane: LaneEnds): void;
  /** Resolves when no look at the lane is under way or wished for. */
  idle(lane: LaneEnds): Promise<void>;
  /** Refuses further looks and waits for those under way. */
  stop(): Promise<void>;
};

type Running = { readonly current: Promise<void>; next: Promise<void> | undefined };

/** A change by somebody else between reading and writing; read again this often before leaving it to the next look. */
const conflictAttempts = 5;

export function createLaneRunner(deps: {
  driver: Pick<LaneDriver, "step">;
  /** While true no lane is looked at: what is stored is behind the chains. */
  isHeld?: (() => Promise<boolean>) | undefined;
  log: Log;
}): LaneRunner {
  const running = new Map<string, Running>();
  let stopped = false;

  async function look(lane: LaneEnds): Promise<void> {
    // Without a word about it the first step begins at once.
    if (deps.isHeld && (await deps.isHeld())) return;
    for (let conflicts = 0; !stopped; ) {
      try {
        if (!(await deps.driver.step(lane))) return;
        conflicts = 0;
      } catch (error) {
        conflicts += 1;
        if (!isLockstepError(error, "conflict") || conflicts === conflictAttempts) throw error;
      }
    }
  }

  function begin(lane: LaneEnds): Promise<void> {
    const name = laneName(lane);
    const current = look(lane).finally(() => {
      if (running.get(name) === entry && !entry.next) running.delete(name);
    });
    const entry: Running = { current, next: undefined };
    running.set(name, entry);
    return current;
  }

  async function run(lane: LaneEnds): Promise<void> {
    if (stopped) return;
    const entry = running.get(laneName(lane));
    if (!entry) return begin(lane);
    entry.next ??= entry.current.catch(() => undefined).then(() => begin(lane));
    return entry.next;
  }

  return {
    run,
    wake(lane) {
      run(lane).catch((error: unknown) => deps.log.warn({ err: error, lane: laneName(lane) }, "look at lane failed"));
    },
    async idle(lane) {
      for (let entry = running.get(laneName(lane)); entry; entry = running.get(laneName(lane))) {
        await Promise.allSettled([entry.next ?? entry.current]);
      }
    },
    async stop() {
      stopped = true;
      while (running.size > 0) {
        await Promise.allSettled([...running.values()].map(({ current, next }) => next ?? current));
      }
    },
  };
}
