import type { Clock } from "../kernel/clock.ts";

/** What a chain showed of itself lately. What nothing was seen of is absent. */
export type Observed = {
  /** Seconds from the first byte of a well-paid transaction of ours to its block. */
  readonly inclusionSeconds?: number;
  /** Seconds that new blocks' timestamps were off this machine's clock, ahead or behind. */
  readonly skewSeconds?: number;
};

type Bounds = { readonly inclusionSeconds: number; readonly skewSeconds: number };

/** Bounds as they are configured, in seconds; outages are allowed for besides inclusion. */
export type ConfiguredBounds = Bounds & { readonly outageSeconds: number };

/**
 * What this process sees of chains, by their names. Of the last hour and the last hundred events the 95th percentile
 * counts; of fewer than twenty that is the largest. It begins empty: what an earlier process saw is not known.
 */
export type Observations = {
  /** A well-paid transaction was in a block so many milliseconds after its first byte left. */
  included(chain: string, ms: number): void;
  /** A new block's timestamp was at least so many milliseconds ahead of the clock, or behind it when negative. */
  headArrived(chain: string, offsetMs: number): void;
  of(chain: string): Observed;
};

const windowMs = 3_600_000;
const windowLength = 100;
/** How long an answer stands while nothing new is seen and nothing gets too old. */
const keptMs = 1_000;

/**
 * How far observed skew may widen its bound. What is beyond is a fault of the chain, its endpoint or this machine's
 * clock: a chain that runs away must not move the bound by which it is found out.
 */
const skewFactor = 2;

export function createObservations(clock: Clock): Observations {
  const inclusions = new Map<string, Sample[]>();
  const offsets = new Map<string, Sample[]>();

  /** Deadlines are computed from it many times a second. */
  const lately = new Map<string, { readonly until: number; readonly observed: Observed }>();

  const note = (into: Map<string, Sample[]>, chain: string, value: number) => {
    lately.delete(chain);
    into.set(chain, [...recent(into.get(chain)), { at: clock.now(), value }].slice(-windowLength));
  };
  const recent = (samples: readonly Sample[] = []) => samples.filter(({ at }) => clock.now() - at < windowMs);
  const seconds = (from: Map<string, Sample[]>, chain: string) => {
    const high = percentile(
      recent(from.get(chain)).map(({ value }) => value),
      95,
    );
    return high === undefined ? undefined : high / 1_000;
  };

  return {
    included: (chain, ms) => note(inclusions, chain, ms),
    headArrived: (chain, offsetMs) => note(offsets, chain, Math.abs(offsetMs)),
    of(chain) {
      const known = lately.get(chain);
      if (known && clock.now() < known.until) return known.observed;
      const [inclusionSeconds, skewSeconds] = [seconds(inclusions, chain), seconds(offsets, chain)];
      const observed = {
        ...(inclusionSeconds !== undefined && { inclusionSeconds }),
        ...(skewSeconds !== undefined && { skewSeconds }),
      };
      const oldest = [...recent(inclusions.get(chain)), ...recent(offsets.get(chain))].map(({ at }) => at);
      lately.set(chain, { until: Math.min(...oldest.map((at) => at + windowMs), clock.now() + keptMs), observed });
      return observed;
    },
  };
}

type Sample = { readonly at: number; readonly value: number };

/**
 * The bounds that count now: what was observed where it is more than configured. What the allowance for outages covers
 * widens nothing, and skew is widened to twice the configured one at most. `isOff`: more skew than that was observed.
 */
export function presentBounds(configured: ConfiguredBounds, observed: Observed): Bounds & { readonly isOff: boolean } {
  const { inclusionSeconds = 0, skewSeconds = 0 } = observed;
  const widest = skewFactor * configured.skewSeconds;
  return {
    inclusionSeconds: Math.max(configured.inclusionSeconds, inclusionSeconds - configured.outageSeconds),
    skewSeconds: Math.max(configured.skewSeconds, Math.min(skewSeconds, widest)),
    isOff: Math.ceil(skewSeconds) > Math.ceil(widest),
  };
}

/** The smallest of the values that `percent` of them do not exceed; undefined of none. */
function percentile(values: readonly number[], percent: number): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1];
}
