/** Time as a port, so that nothing in a test has to sleep. */
export type Clock = {
  /** Milliseconds since 1970, true time as far as this machine knows it. */
  now(): number;
  /** Resolves after `ms`, or at once when the signal aborts. Never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve) => {
      if (signal?.aborted) return resolve();
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      signal?.addEventListener("abort", done, { once: true });
    }),
};

/** Whole seconds since 1970, the unit of block timestamps and timelocks. */
export const unixSeconds = (clock: Clock): bigint => BigInt(Math.floor(clock.now() / 1000));
