import type { Rate } from "./price.ts";

/** What a trade is reckoned with. `rate`: whole target units for one whole source unit. */
export type TradeTerms = {
  readonly rate: Rate;
  readonly sourceDecimals: number;
  readonly targetDecimals: number;
  /** Hundredths of a percent of what the desk gives, less than 10,000. */
  readonly feeBps: bigint;
  /** Smallest units of the target asset. */
  readonly fixedFee: bigint;
};

/** Smallest units of each asset. `fee` is what of the source's worth, in the target asset, the taker does not get. */
export type Amounts = { readonly source: bigint; readonly target: bigint; readonly fee: bigint };

const whole = 10_000n;

/**
 * What the desk gives for an amount: its worth less the fee, rounded down once. Zero where the fee takes it all.
 */
export function exactIn(terms: TradeTerms, source: bigint): Amounts {
  const { up, down } = ratio(terms);
  const left = (source * up * (whole - terms.feeBps)) / (down * whole) - terms.fixedFee;
  return withFee(terms, source, left > 0n ? left : 0n);
}

/** The least amount for which the desk gives this much: rounded up once, so that `exactIn` of it gives no less. */
export function exactOut(terms: TradeTerms, target: bigint): Amounts {
  const { up, down } = ratio(terms);
  const source = ceilDiv((target + terms.fixedFee) * down * whole, up * (whole - terms.feeBps));
  return withFee(terms, source, target);
}

/** Smallest target units for one smallest source unit, as up/down. */
function ratio({ rate, sourceDecimals, targetDecimals }: TradeTerms): { up: bigint; down: bigint } {
  return {
    up: rate.numerator * 10n ** BigInt(targetDecimals),
    down: rate.denominator * 10n ** BigInt(sourceDecimals),
  };
}

function withFee(terms: TradeTerms, source: bigint, target: bigint): Amounts {
  const { up, down } = ratio(terms);
  const worth = (source * up) / down;
  return { source, target, fee: worth - target };
}

const ceilDiv = (a: bigint, b: bigint): bigint => (a + b - 1n) / b;
