/** What was answered, and what was found in it. */
type Outcome<T, R> = { readonly known: readonly T[]; readonly found: R | undefined };

/**
 * Waits for answers until `find` finds what is looked for in those that are in; failures and empty answers are none.
 * Resolves without a find once all have answered.
 */
export async function firstAgreed<T, R>(
  asked: readonly Promise<T | undefined>[],
  find: (known: readonly T[]) => R | undefined | Promise<R | undefined>,
): Promise<Outcome<T, R>> {
  const known: T[] = [];
  for await (const answer of inOrderOfArrival(asked)) {
    if (answer === undefined) continue;
    known.push(answer);
    const found = await find(known);
    if (found !== undefined) return { known, found };
  }
  return { known, found: undefined };
}

/** The first group of equal items that is large enough. */
export function groupOf<T>(items: readonly T[], keyOf: (item: T) => string, needed: number): T[] | undefined {
  return [...Map.groupBy(items, keyOf).values()].find((group) => group.length >= needed);
}

async function* inOrderOfArrival<T>(asked: readonly Promise<T | undefined>[]): AsyncGenerator<T | undefined> {
  const waiting = new Map(
    asked.map((answer, index) => [
      index,
      answer.then(
        (value) => ({ index, value }),
        () => ({ index, value: undefined }),
      ),
    ]),
  );
  while (waiting.size > 0) {
    const { index, value } = await Promise.race(waiting.values());
    waiting.delete(index);
    yield value;
  }
}
