/** The same numbers for the same seed (mulberry32), so that a drill can be run again. */
export type Chance = { next(): number; between(least: number, most: number): number; oneOf<T>(all: readonly T[]): T };

export function createChance(seed: number): Chance {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  return {
    next,
    between: (least, most) => Math.floor(least + next() * (most - least + 1)),
    oneOf<T>(all: readonly T[]): T {
      const chosen = all[Math.floor(next() * all.length)];
      if (chosen === undefined) throw new RangeError("nothing to choose from");
      return chosen;
    },
  };
}
