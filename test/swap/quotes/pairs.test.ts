import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isLockstepError } from "#core/kernel/errors.ts";
import { amountsAt, type DeskPair } from "#swap/quotes/pairs.ts";
import type { Rate } from "#swap/quotes/price.ts";

const native = { type: "native" } as const;
const asset = (chain: string, decimals: number) => ({
  chain,
  asset: native,
  decimals,
  symbol: "X",
  leastInventory: 0n,
});
const amount = fc.bigInt({ min: 1n, max: 10n ** 24n });

const pairs: fc.Arbitrary<DeskPair> = fc
  .record({
    bounds: fc.tuple(amount, amount),
    decimals: fc.tuple(fc.integer({ min: 0, max: 18 }), fc.integer({ min: 0, max: 18 })),
    feeBps: fc.integer({ min: 0, max: 9_999 }),
    fixedFee: fc.bigInt({ min: 0n, max: 1_000_000n }),
  })
  .map(({ bounds: [a, b], decimals: [source, target], ...fees }) => ({
    ...{ source: asset("alpha", source), target: asset("beta", target) },
    ...{ least: a < b ? a : b, most: a < b ? b : a, ...fees },
  }));
const rates: fc.Arbitrary<Rate> = fc.record({
  numerator: fc.bigInt({ min: 1n, max: 10n ** 12n }),
  denominator: fc.bigInt({ min: 1n, max: 10n ** 12n }),
});
const sides = fc.constantFrom("source" as const, "target" as const);

/** The bounds that a refusal names; undefined when it was not refused. */
function boundsOf(trade: () => unknown): { least: bigint; most: bigint } | undefined {
  try {
    trade();
    return undefined;
  } catch (error) {
    assert.ok(isLockstepError(error, "amount-out-of-range"), String(error));
    return { least: error.details.least as bigint, most: error.details.most as bigint };
  }
}

describe("the bounds of a pair", () => {
  it("are what a refusal says they are, to the unit, whichever amount is given", () => {
    fc.assert(
      fc.property(pairs, rates, sides, (pair, rate, side) => {
        const at = (given: bigint) => boundsOf(() => amountsAt(pair, rate, { side, amount: given }));
        const bounds = at(10n ** 60n);
        assert.ok(bounds, "nothing trades that much");
        assert.deepEqual(at(bounds.most + 1n), bounds);
        if (bounds.least > bounds.most) return;
        assert.equal(at(bounds.least), undefined);
        assert.equal(at(bounds.most), undefined);
        if (bounds.least > 1n) assert.deepEqual(at(bounds.least - 1n), bounds);
      }),
      { numRuns: 500 },
    );
  });
});
