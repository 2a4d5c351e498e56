import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { LegTerms, StepName, SwapEvent } from "#swap/events.ts";
import { intentOf } from "#swap/intents.ts";
import { foldSwap } from "#swap/swap.ts";
import { claimed, detected, hexOf, locked, requested, revealStarted, stored } from "#test/swap/samples.ts";

const deadlines = { sourceLockBy: 600n, counterLockBy: 700n, revealBy: 800n, sourceClaimUntil: 2_005n };
const bothLocked = [detected("source"), locked("source"), detected("target"), locked("target")];

function urgencyOf(step: StepName, begin: SwapEvent = requested) {
  const swap = foldSwap(stored(begin, ...bothLocked, revealStarted, claimed("target")));
  assert.ok(swap);
  return intentOf(swap, { step, attempt: 1 }, { deadlines }).urgency;
}

describe("what a swap says of the urgency of its steps", () => {
  it("is that claims are worth their leg until its timelock", () => {
    assert.deepEqual(urgencyOf("claim-target"), { by: 1_000n, worth: 5n });
    assert.deepEqual(urgencyOf("claim-source"), { by: 2_000n, worth: 5n });
  });

  it("names no worth of what is not the chain's own coin", () => {
    assert.ok(requested.type === "SwapRequested");
    const token = (terms: LegTerms): LegTerms => ({ ...terms, asset: { type: "erc20", address: hexOf("f", 20) } });
    const { source, target, ...rest } = requested.data;
    const ofTokens: SwapEvent = {
      type: "SwapRequested",
      data: { ...rest, source: token(source), target: token(target) },
    };
    assert.deepEqual(urgencyOf("claim-source", ofTokens), { by: 2_000n });
  });

  it("is nothing for locks and refunds", () => {
    for (const step of ["lock-source", "lock-target", "refund-source", "refund-target"] as const) {
      assert.equal(urgencyOf(step), undefined);
    }
  });
});
