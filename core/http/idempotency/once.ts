import { randomUUID } from "node:crypto";
import { type ErrorCode, isLockstepError } from "../../kernel/errors.ts";

/** What a request with an Idempotency-Key is, however often it comes. */
export type Once = {
  /** Made once for the key: the id of what the request creates, so that another run finds it. */
  readonly id: string;
  /** An earlier run was begun and left no answer; what it was to do may be done, or be under way still. */
  readonly again: boolean;
  /** Set once what was asked for has happened: what fails afterwards is no refusal of it. */
  effected?: boolean;
};

/**
 * Creates something under the id that the request has for ever, or a new one where it has none, and answers with the id.
 * What an earlier run has created is what this one is about, whatever stands against creating it now.
 */
export async function createOnce(
  once: Once | undefined,
  { exists, create }: { exists(id: string): Promise<boolean>; create(id: string): Promise<void> },
): Promise<string> {
  if (!once) {
    const id = randomUUID();
    await create(id);
    return id;
  }
  const done = () => {
    once.effected = true;
    return once.id;
  };
  if (once.again && (await exists(once.id))) return done();
  try {
    await create(once.id);
  } catch (error) {
    // A run that was taken for dead may have been quicker.
    if (!(await exists(once.id).catch(() => false))) throw error;
  }
  return done();
}

/** Runs what an earlier run may have done: then refusals that say that it is done are none. */
export async function unlessDone(
  once: Once | undefined,
  codes: readonly ErrorCode[],
  work: () => Promise<void> | void,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    const isDone = once?.again && codes.some((code) => isLockstepError(error, code));
    if (!isDone) throw error;
  }
  if (once) once.effected = true;
}
