import type { Clock } from "../../kernel/clock.ts";
import { type Buckets, takeToken } from "./buckets.ts";

/**
 * Buckets of this process alone. Holds at most so many: full ones go first, which say nothing, then those that were
 * used longest ago.
 */
export function createMemoryBuckets({ clock, most = 100_000 }: { clock: Clock; most?: number }): Buckets {
  const buckets = new Map<string, number>();

  function makeRoom(now: number): void {
    for (const [key, fullAt] of buckets) if (fullAt <= now) buckets.delete(key);
    // A tenth at once, so that a flood of new ones does not look through all for each.
    const spared = most - Math.ceil(most / 10);
    for (const key of buckets.keys()) {
      if (buckets.size <= spared) return;
      buckets.delete(key);
    }
  }

  return {
    take(key, policy) {
      const now = clock.now() * 1_000;
      const { fullAt, taken } = takeToken(buckets.get(key), now, policy);
      buckets.delete(key);
      if (buckets.size >= most) makeRoom(now);
      buckets.set(key, fullAt);
      return taken;
    },
  };
}
