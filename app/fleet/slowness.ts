/** Busier than `above` over so long makes a process slow, and less busy than `below` over so long ends it. */
const above = 0.9;
const below = 0.6;
const slowAfterMs = 30_000;
const wellAfterMs = 60_000;

/** So many milliseconds, and in how many of them it was busy. */
export type Spell = { readonly ms: number; readonly busyMs: number };

/**
 * Whether a process has been behind for a while, on the average of that time: spells are as long as they happen to be, and
 * one says little. Takes its time both ways: work that is given away for a moment's sake, and taken back, costs more than
 * the moment. Pure but for what it remembers.
 */
export function createSlowness() {
  let isSlow = false;
  /** Since it last changed, oldest first; no more than it takes to cover the time that counts. */
  let spells: Spell[] = [];
  return {
    /** `spell`: what has passed since the one before. */
    note(spell: Spell): boolean {
      const window = isSlow ? wellAfterMs : slowAfterMs;
      spells.push(spell);
      let all = total(spells);
      for (let [oldest] = spells; oldest && all.ms - oldest.ms >= window; [oldest] = spells) {
        spells.shift();
        all = { ms: all.ms - oldest.ms, busyMs: all.busyMs - oldest.busyMs };
      }
      const share = all.busyMs / all.ms;
      if (all.ms >= window && (isSlow ? share < below : share > above)) {
        isSlow = !isSlow;
        spells = [];
      }
      return isSlow;
    },
  };
}

const total = (spells: readonly Spell[]): Spell => ({
  ms: spells.reduce((sum, { ms }) => sum + ms, 0),
  busyMs: spells.reduce((sum, { busyMs }) => sum + busyMs, 0),
});
