import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { firstFees, isTooDear, offersEnough, raiseFees } from "#core/sender/fees.ts";

const gwei = fc.bigInt({ min: 1_000_000n, max: 10n ** 15n });
const market = fc.record({ nextBaseFee: gwei, high: gwei });
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

  it("rise with the market: what is fresher or older and higher never makes the next price lower", () => {
    fc.assert(
      fc.property(fees, fees, fees, gwei, (old, fresh, more, ceiling) => {
        const higher = {
          maxFeePerGas: fresh.maxFeePerGas + more.maxFeePerGas,
          maxPriorityFeePerGas: fresh.maxPriorityFeePerGas + more.maxPriorityFeePerGas,
        };
        const [one, two] = [raiseFees(old, fresh, ceiling), raiseFees(old, higher, ceiling)];
        assert.equal(one === undefined, two === undefined, "whether there is room does not depend on the market");
        if (one === undefined || two === undefined) return;
        assert.ok(two.maxFeePerGas >= one.maxFeePerGas && two.maxPriorityFeePerGas >= one.maxPriorityFeePerGas);
      }),
    );
  });

  it("stop where the market is, unless a ceiling comes first, and get there in a bounded number of steps", () => {
    fc.assert(
      fc.property(fees, market, (start, now) => {
        const fresh = { ...start, market: now };
        const enough = now.high < now.nextBaseFee ? now.nextBaseFee : now.high;
        let offer = start;
        for (let steps = 0; !offersEnough(offer, fresh); steps++) {
          assert.ok(steps < 400);
          const raised = raiseFees(offer, fresh, 10n ** 30n);
          assert.ok(raised);
          offer = raised;
        }
        // The last step began below the market, and is an eighth (rounded up) or what the estimate says.
        assert.ok(
          offer === start || offer.maxPriorityFeePerGas <= (enough * 9n) / 8n + 1n + start.maxPriorityFeePerGas,
        );
      }),
    );
  });

  it("are not worth a nonce when the ceiling is under the next base fee", () => {
    fc.assert(
      fc.property(fees, market, gwei, (some, now, ceiling) => {
        assert.equal(isTooDear({ ...some, market: now }, ceiling), ceiling <= now.nextBaseFee);
        assert.equal(isTooDear(some, ceiling), false);
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
