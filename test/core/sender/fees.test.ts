import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { firstFees, raiseFees } from "#core/sender/fees.ts";

const gwei = fc.bigInt({ min: 1_000_000n, max: 10n ** 15n });
const fees = fc
  .record({ a: gwei, b: gwei })
  .map(({ a, b }) => ({ maxFeePerGas: a > b ? a : b, maxPriorityFeePerGas: a > b ? b : a }));

describe("fees", () => {
  it("stay under the ceiling, and the tip under the fee", () => {
    fc.assert(
      fc.property(fees, fees, gwei, (old, fresh, ceiling) => {
        for (const made of [firstFees(fresh, ceiling), raiseFees(old, fresh, ceiling)]) {
          if (made === undefined) continue;
          assert.ok(made.maxFeePerGas <= ceiling);
          assert.ok(made.maxPriorityFeePerGas <= made.maxFeePerGas);
        }
      }),
    );
  });

  it("are raised by enough to be accepted as a replacement, and at most three times", () => {
    fc.assert(
      fc.property(fees, fees, gwei, (old, fresh, ceiling) => {
        const raised = raiseFees(old, fresh, ceiling);
        if (raised === undefined) return;
        for (const key of ["maxFeePerGas", "maxPriorityFeePerGas"] as const) {
          assert.ok(raised[key] * 10n >= old[key] * 11n, `${key} rises by a tenth`);
          assert.ok(raised[key] <= old[key] * 3n);
        }
      }),
    );
  });

  it("are raised whenever the ceiling leaves room, and follow the market", () => {
    fc.assert(
      fc.property(fees, fees, (old, fresh) => {
        const raised = raiseFees(old, fresh, 10n ** 20n);
        assert.ok(raised !== undefined);
        assert.ok(raised.maxFeePerGas >= fresh.maxFeePerGas || fresh.maxFeePerGas > 3n * old.maxFeePerGas);
      }),
    );
  });

  it("reach any ceiling in a bounded number of steps and then stop", () => {
    fc.assert(
      fc.property(fees, gwei, (start, ceiling) => {
        let now: ReturnType<typeof raiseFees> = start;
        let steps = 0;
        while (now !== undefined && steps <= 400) {
          now = raiseFees(now, start, ceiling);
          steps++;
        }
        assert.ok(steps <= 400);
      }),
    );
  });
});
