import assert from "node:assert/strict";
import { it } from "node:test";
import { isLockstepError } from "#core/kernel/errors.ts";
import { lockOf } from "#swap/legCalls.ts";
import { requireTip } from "#swap/watch/policy.ts";
import { hexOf, legTerms } from "#test/swap/samples.ts";
import { policy } from "./support.ts";

it("a lock without a tip is told so, and one with a tip by how much it is too low", () => {
  const fees = { maxFeePerGas: 3n, maxPriorityFeePerGas: 1n };
  const ask = (tip: bigint, minTipPercent = 100) =>
    requireTip({ ...policy, minTipPercent }, lockOf({ ...legTerms.source, tip }, hexOf("9")), fees);
  const refusal = (tip: bigint) => {
    try {
      return void ask(tip);
    } catch (error) {
      return isLockstepError(error) ? { code: error.code, needed: error.details.needed } : error;
    }
  };
  assert.deepEqual(refusal(0n), { code: "tip-missing", needed: 360_000n });
  assert.deepEqual(refusal(359_999n), { code: "tip-too-low", needed: 360_000n });
  assert.equal(refusal(360_000n), undefined);
  // An operator who asks for no share of the gas takes locks without a tip.
  assert.doesNotThrow(() => ask(0n, 0));
});
