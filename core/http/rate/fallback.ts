import type { Clock } from "../../kernel/clock.ts";
import type { Log } from "../../observe/log.ts";
import type { Buckets } from "./buckets.ts";

/** How long the shared buckets are left alone after they have failed, in milliseconds. */
const restMs = 1_000;

/** Shared buckets while they answer, else those of this process: then each process allows what all together should. */
export function withFallback(deps: { shared: Buckets; own: Buckets; clock: Clock; log: Log }): Buckets {
  const { shared, own, clock, log } = deps;
  let restsUntil = Number.NEGATIVE_INFINITY;
  let isAway = false;
  return {
    async take(key, policy) {
      if (clock.now() < restsUntil) return own.take(key, policy);
      try {
        const taken = await shared.take(key, policy);
        if (isAway) log.info({}, "rate limits are shared again");
        isAway = false;
        return taken;
      } catch (error) {
        if (!isAway) log.warn({ err: error }, "redis does not answer; rate limits are those of this process");
        isAway = true;
        restsUntil = clock.now() + restMs;
        return own.take(key, policy);
      }
    },
  };
}
