import { isLockstepError } from "#core/kernel/errors.ts";
import type { Recovery } from "#swap";

type Stray = Parameters<Recovery["take"]>[0];

/** Has every open lock of a managed account driven that no swap here drives; answers how many are new. */
export async function takeStrays(recovery: Recovery, onError: (error: unknown, lock: Stray) => void): Promise<number> {
  const found = (await recovery.locks()).filter(({ watched }) => !watched);
  let taken = 0;
  for (const lock of found) {
    try {
      await recovery.take(lock);
      taken += 1;
    } catch (error) {
      // It ended a moment ago, by whoever was quicker; anything else is no reason to leave the others alone.
      if (!isLockstepError(error, "lock-ended")) onError(error, lock);
    }
  }
  return taken;
}
