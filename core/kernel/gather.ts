import { AsyncLocalStorage } from "node:async_hooks";

/**
 * Joins what is asked for at once: while one round is under way, what comes in waits and is the next round together, so
 * that nothing waits for others without need. Each gets its own outcome; a round that throws fails all that were in it.
 * `linger` may take a moment before each round, for more to come in.
 * Rounds are for nobody alone, so they run in the asynchronous context that this is made in, not in that of who asks first.
 */
export function gather<T, R>(
  round: (items: readonly T[]) => Promise<readonly PromiseSettledResult<R>[]>,
  most: number,
  linger: () => Promise<void> = () => Promise.resolve(),
): (item: T) => Promise<R> {
  type Waiting = { readonly item: T; readonly outcome: PromiseWithResolvers<R> };
  let waiting: Waiting[] = [];
  let running = false;
  const outside = AsyncLocalStorage.snapshot();

  async function run(): Promise<void> {
    running = true;
    while (waiting.length > 0) {
      // What is asked for in the same turn goes together. Whatever keeps a round from waiting keeps nobody else.
      await linger().catch(() => undefined);
      const now = waiting.slice(0, most);
      waiting = waiting.slice(most);
      try {
        const results = await round(now.map(({ item }) => item));
        for (const [index, { outcome }] of now.entries()) settle(outcome, results[index]);
      } catch (error) {
        for (const { outcome } of now) outcome.reject(error);
      }
    }
    running = false;
  }

  return (item) => {
    const outcome = Promise.withResolvers<R>();
    waiting.push({ item, outcome });
    if (!running) void outside(run);
    return outcome.promise;
  };
}

function settle<R>(outcome: PromiseWithResolvers<R>, result: PromiseSettledResult<R> | undefined): void {
  if (result?.status === "fulfilled") outcome.resolve(result.value);
  else outcome.reject(result?.reason);
}

/**
 * Tries all items in one go, which is much cheaper than one by one, and one by one where that fails: one of them may be
 * what is wrong. `all` has no effect when it throws.
 */
export const togetherOrAlone =
  <T, R>(all: (items: readonly T[]) => Promise<readonly R[]>) =>
  async (items: readonly T[]): Promise<PromiseSettledResult<R>[]> => {
    if (items.length > 1) {
      try {
        return (await all(items)).map((value) => ({ status: "fulfilled", value }));
      } catch {
        // Whatever it was, each shows it again if it is its own.
      }
    }
    const outcomes: PromiseSettledResult<R>[] = [];
    for (const item of items) outcomes.push(...(await Promise.allSettled([all([item]).then(([value]) => value as R)])));
    return outcomes;
  };
