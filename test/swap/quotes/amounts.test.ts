import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { exactIn, exactOut, type TradeTerms } from "#swap/quotes/amounts.ts";
import { rateIn } from "#swap/quotes/price.ts";

const positive = (bits: number) => fc.bigInt({ min: 1n, max: 2n ** BigInt(bits) });

const terms: fc.Arbitrary<TradeTerms> = fc.record({
  rate: fc.record({ numerator: positive(80), denominator: positive(80) }),
  sourceDecimals: fc.integer({ min: 0, max: 24 }),
  targetDecimals: fc.integer({ min: 0, max: 24 }),
  feeBps: fc.bigInt({ min: 0n, max: 9_999n }),
  fixedFee: fc.oneof(fc.constant(0n), positive(60)),
});
const amount = positive(120);

/** What the desk would give if units could be split, times `down`: no rounding anywhere. */
function exactly({ rate, sourceDecimals, targetDecimals, feeBps, fixedFee }: TradeTerms, source: bigint) {
  const down = rate.denominator * 10n ** BigInt(sourceDecimals) * 10_000n;
  const gross = source * rate.numerator * 10n ** BigInt(targetDecimals) * (10_000n - feeBps);
  return { left: gross - fixedFee * down, down };
}

const ethUsd: TradeTerms = {
  rate: { numerator: 2_500n, denominator: 1n },
  ...{ sourceDecimals: 18, targetDecimals: 6, feeBps: 30n, fixedFee: 0n },
};

describe("amounts of a quote", () => {
  it("are those of the price less the fee", () => {
    const one = 10n ** 18n;
    assert.deepEqual(exactIn(ethUsd, one), { source: one, target: 2_492_500_000n, fee: 7_500_000n });
    assert.deepEqual(exactOut(ethUsd, 2_492_500_000n), { source: one, target: 2_492_500_000n, fee: 7_500_000n });
    const fixed = { ...ethUsd, fixedFee: 1_000_000n };
    assert.deepEqual(exactIn(fixed, one), { source: one, target: 2_491_500_000n, fee: 8_500_000n });
  });

  it("are zero where the fee takes everything, and the fee is no more than that", () => {
    assert.deepEqual(exactIn({ ...ethUsd, fixedFee: 10n ** 12n }, 10n ** 18n), {
      ...{ source: 10n ** 18n, target: 0n, fee: 2_500_000_000n },
    });
  });

  it("favour the desk by less than one unit of what it gives", () => {
    fc.assert(
      fc.property(terms, amount, (each, source) => {
        const { target } = exactIn(each, source);
        const { left, down } = exactly(each, source);
        if (left <= 0n) return target === 0n;
        return target * down <= left && (target + 1n) * down > left;
      }),
    );
  });

  it("favour the desk by less than one unit of what it gets, for an exact amount out", () => {
    fc.assert(
      fc.property(terms, amount, (each, target) => {
        const { source } = exactOut(each, target);
        const at = exactly(each, source);
        const below = exactly(each, source - 1n);
        return at.left >= target * at.down && below.left < target * below.down;
      }),
    );
  });

  it("have a fee that is never negative, and not under the fixed one where something is given", () => {
    fc.assert(
      fc.property(terms, amount, fc.boolean(), (each, given, isIn) => {
        const { fee, target } = isIn ? exactIn(each, given) : exactOut(each, given);
        assert.ok(fee >= 0n);
        if (target > 0n) assert.ok(fee >= each.fixedFee);
      }),
    );
  });

  it("agree: what an exact amount in gives costs no more as an exact amount out, and that gives the same", () => {
    fc.assert(
      fc.property(terms, amount, (each, source) => {
        const { target } = exactIn(each, source);
        fc.pre(target > 0n);
        const back = exactOut(each, target);
        assert.ok(back.source <= source);
        assert.equal(exactIn(each, back.source).target, target);
      }),
    );
  });

  it("cannot be pumped: there and back at one price never gives more than was put in", () => {
    fc.assert(
      fc.property(terms, amount, (there, source) => {
        const back: TradeTerms = {
          rate: { numerator: there.rate.denominator, denominator: there.rate.numerator },
          sourceDecimals: there.targetDecimals,
          targetDecimals: there.sourceDecimals,
          ...{ feeBps: there.feeBps, fixedFee: 0n },
        };
        assert.ok(exactIn(back, exactIn(there, source).target).target <= source);
      }),
    );
  });
});

describe("a table of prices", () => {
  const table = { "ETH/USD": "2500.25", "USD/ETH": "0.00039", "EUR/USD": "1.10" };

  it("is read exactly, in the direction it is written in before the other", () => {
    assert.deepEqual(rateIn(table, "ETH", "USD"), { numerator: 250_025n, denominator: 100n });
    assert.deepEqual(rateIn(table, "USD", "ETH"), { numerator: 39n, denominator: 100_000n });
    assert.deepEqual(rateIn(table, "USD", "EUR"), { numerator: 100n, denominator: 110n });
  });

  it("has one to one for one symbol, unless it says otherwise, and nothing for what it lacks", () => {
    assert.deepEqual(rateIn(table, "USD", "USD"), { numerator: 1n, denominator: 1n });
    assert.deepEqual(rateIn({ "USD/USD": "0.99" }, "USD", "USD"), { numerator: 99n, denominator: 100n });
    assert.equal(rateIn(table, "ETH", "EUR"), undefined);
    assert.equal(rateIn(table, "constructor", "USD"), undefined);
  });

  it("keeps every digit that is written", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 10n ** 30n - 1n }), fc.integer({ min: 1, max: 30 }), (digits, places) => {
        const padded = digits.toString().padStart(places + 1, "0");
        const text = `${padded.slice(0, -places)}.${padded.slice(-places)}`;
        assert.deepEqual(rateIn({ "A/B": text }, "A", "B"), { numerator: digits, denominator: 10n ** BigInt(places) });
      }),
    );
  });
});
