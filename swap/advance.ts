import type { Clock } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";

/** Milliseconds until that is looked at again about which nothing may be decided. */
const heldMs = 1_000;

/** A change by somebody else between reading and writing; read again this often before leaving it to the next look. */
const conflictAttempts = 5;

type Deps = {
  readonly index: { postpone(id: string, at: Date): Promise<void> };
  /** While true nothing is decided: what is stored is behind the chains. */
  isHeld?(): Promise<boolean>;
  readonly clock: Clock;
};

/** Reads, decides and writes: put off while nothing may be decided, and begun again when somebody else wrote meanwhile. */
export const createAdvance = (deps: Deps, once: (id: string) => Promise<void>) =>
  async function advance(id: string): Promise<void> {
    if (await deps.isHeld?.()) return deps.index.postpone(id, new Date(deps.clock.now() + heldMs));
    for (let attempt = 1; ; attempt++) {
      try {
        return await once(id);
      } catch (error) {
        if (!isLockstepError(error, "conflict") || attempt === conflictAttempts) throw error;
      }
    }
  };
