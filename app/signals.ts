import { exitOfSignal } from "./exitCodes.ts";

/** Resolves with the signal that asks this process to end. A second one ends it at once. */
export function askedToStop(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    let asked = false;
    for (const signal of ["SIGINT", "SIGTERM"] as const) {
      // Not `once`: Node gives a signal that nobody listens to back to the system, which would end the process by it
      // if the second came between two listeners.
      process.on(signal, () => {
        if (asked) process.exit(exitOfSignal(signal));
        asked = true;
        resolve(signal);
      });
    }
  });
}

/** Work that a signal ends: it is told by its own signal, and the exit code says which one it was. */
export async function interruptible(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const ending = new AbortController();
  const interrupted = askedToStop().then((signal) => {
    ending.abort();
    return exitOfSignal(signal);
  });
  return Promise.race([work(ending.signal), interrupted]);
}
