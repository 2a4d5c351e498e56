import type { Clock } from "#core/kernel/clock.ts";

/** A clock that stands still until it is told to go on. */
export type VirtualClock = Clock & {
  /** Moves on and wakes who has slept long enough. */
  advance(ms: number): void;
  /** Resolves as soon as so many sleep at once: nothing goes on then until the clock does. */
  asleep(count: number): Promise<void>;
};

export function createVirtualClock(start: number): VirtualClock {
  let now = start;
  const sleepers = new Set<{ readonly at: number; wake(): void }>();
  let watchers: { readonly count: number; resolve(): void }[] = [];
  const tell = () => {
    const ready = watchers.filter(({ count }) => sleepers.size >= count);
    watchers = watchers.filter(({ count }) => sleepers.size < count);
    for (const { resolve } of ready) resolve();
  };
  return {
    now: () => now,
    sleep(ms, signal) {
      if (signal?.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const wake = () => {
          sleepers.delete(sleeper);
          signal?.removeEventListener("abort", wake);
          resolve();
        };
        const sleeper = { at: now + ms, wake };
        sleepers.add(sleeper);
        signal?.addEventListener("abort", wake, { once: true });
        tell();
      });
    },
    advance(ms) {
      now += ms;
      for (const sleeper of [...sleepers]) if (sleeper.at <= now) sleeper.wake();
    },
    asleep: (count) =>
      new Promise((resolve) => {
        watchers.push({ count, resolve });
        tell();
      }),
  };
}
