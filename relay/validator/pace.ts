import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";

/** Throws `rate-limited` when somebody asks faster than is allowed. */
export type Pace = (who: string) => void;

/** Those remembered at once; the one that has been quiet longest is forgotten first. */
const mostRemembered = 10_000;

/** So many requests a second for each who asks, and twice as many at once after a pause. */
export function createPace({ perSecond, clock }: { perSecond: number; clock: Pick<Clock, "now"> }): Pace {
  const most = 2 * perSecond;
  const known = new Map<string, { readonly left: number; readonly at: number }>();
  return (who) => {
    const now = clock.now();
    const { left, at } = known.get(who) ?? { left: most, at: now };
    const refilled = Math.min(most, left + (Math.max(0, now - at) / 1_000) * perSecond);
    known.delete(who);
    known.set(who, { left: Math.max(0, refilled - 1), at: now });
    if (known.size > mostRemembered) known.delete(known.keys().next().value ?? "");
    if (refilled < 1) throw new LockstepError("rate-limited", `at most ${perSecond} requests a second are answered`);
  };
}
