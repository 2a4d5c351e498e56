/** Whole units of one asset for one whole unit of another, exactly; both numbers are above zero. */
export type Rate = { readonly numerator: bigint; readonly denominator: bigint };

/** A rate, and when it was true. */
export type Price = Rate & { readonly at: Date };

/** Where the desk has its prices from. */
export type PriceSource = {
  /**
   * What one whole unit of `base` is worth in whole units of `quote`; assets of one symbol are worth the same. Throws
   * `price-unavailable` where there is no price, or none that is young enough.
   */
  price(base: string, quote: string): Promise<Price>;
};

/** Prices as they are written down: `{ "ETH/USD": "2500.25" }`. */
export type PriceTable = Readonly<Record<string, string>>;

/** A rate from a table, in the direction it is written in or the other; undefined where it is in neither. */
export function rateIn(table: PriceTable, base: string, quote: string): Rate | undefined {
  const direct = entry(table, `${base}/${quote}`);
  if (direct) return direct;
  const inverse = entry(table, `${quote}/${base}`);
  if (inverse) return { numerator: inverse.denominator, denominator: inverse.numerator };
  return base === quote ? { numerator: 1n, denominator: 1n } : undefined;
}

function entry(table: PriceTable, pair: string): Rate | undefined {
  const text = Object.hasOwn(table, pair) ? table[pair] : undefined;
  return text === undefined ? undefined : parseDecimal(text);
}

/** `2500.25` as 250025/100, not reduced. The text has passed the configuration's schema. */
function parseDecimal(text: string): Rate {
  const [whole = "0", fraction = ""] = text.split(".");
  return { numerator: BigInt(whole + fraction), denominator: 10n ** BigInt(fraction.length) };
}

/** A price as it is shown. */
export const priceView = ({ numerator, denominator, at }: Price) => ({ numerator, denominator, at: at.toISOString() });
