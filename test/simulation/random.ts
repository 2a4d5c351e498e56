/** Everything that happens by chance in a simulation, from one seed: the same seed is the same schedule. */
export type Random = {
  /** A whole number from `least` to `most`. */
  int(least: number, most: number): number;
  /** As `int`, but one of the two ends half of the time: what goes wrong goes wrong at edges. */
  extreme(least: number, most: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
};

/** Mulberry32, after Tommy Ettinger: small, quick, and good enough to choose what goes wrong. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0;
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
  const int = (least: number, most: number) => least + Math.floor(next() * (most - least + 1));
  return {
    int,
    extreme(least, most) {
      const choice = next();
      if (choice < 0.25) return least;
      return choice < 0.5 ? most : int(least, most);
    },
    chance: (probability) => next() < probability,
    pick: (items) => {
      const found = items[int(0, items.length - 1)];
      if (found === undefined) throw new RangeError("there is nothing to pick from");
      return found;
    },
  };
}
