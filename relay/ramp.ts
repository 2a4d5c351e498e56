const minute = 60_000;

/** Milliseconds before the next attempt, by how many have failed in a row (1 is the first). */
const quorumRamp = [2_000, 2_000, 2_000, 5_000, 10_000, 30_000, minute];
const deliveryRamp = [1_000, 5_000, 10_000, 30_000, minute];

/** Waiting for signatures usually ends by itself, so the first looks come quickly. */
export const quorumDelayMs = (misses: number): number => at(quorumRamp, misses);

/** A delivery that failed costs gas each time. After the ramp three minutes for an hour, then two hours. */
export const deliveryDelayMs = (failures: number): number =>
  failures > deliveryRamp.length + 20
    ? 120 * minute
    : failures > deliveryRamp.length
      ? 3 * minute
      : at(deliveryRamp, failures);

const at = (ramp: readonly number[], count: number): number =>
  ramp[Math.min(Math.max(count, 1), ramp.length) - 1] ?? minute;
