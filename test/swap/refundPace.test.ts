import assert from "node:assert/strict";
import { it } from "node:test";
import { LockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import { createSwapChains } from "#swap/chains.ts";
import { createRefundPace } from "#swap/refundPace.ts";
import { foldSwap } from "#swap/swap.ts";
import { detected, hexOf, locked, requested, stored } from "./samples.ts";
import { fakeChain } from "./support.ts";

function world() {
  const swap = foldSwap(stored(requested, detected("source"), locked("source"))) ?? assert.fail();
  const clock = { ms: 2_000_000, now: () => clock.ms, sleep: async () => undefined };
  const alpha = fakeChain("alpha");
  const timing = { finality: 10n, inclusion: 20n, skew: 5n };
  const chains = createSwapChains({
    chains: fixed({ alpha: { chain: alpha, timelockContract: hexOf("c", 20), timing } }),
    ...{ reactionSeconds: 10n, clock },
  });
  const pace = createRefundPace({ chains, clock });
  return { alpha, clock, pace: () => pace(swap, { step: "refund-source", attempt: 1 }) };
}

it("a refund goes by itself at once where the chain has no block of its time and few are due", async () => {
  const { alpha, pace } = world();
  alpha.time = 1_999n;
  assert.deepEqual(await Promise.all([pace(), pace(), pace()]), ["alone", "alone", "alone"]);
});

it("many refunds wait for that block to go together, and not for longer than two seconds", async () => {
  const { alpha, clock, pace } = world();
  alpha.time = 1_999n;
  for (let index = 0; index < 3; index++) await pace();
  assert.equal(await pace(), "later");
  clock.ms += 1_900;
  for (let index = 0; index < 3; index++) await pace();
  assert.equal(await pace(), "later");
  clock.ms += 100;
  assert.equal(await pace(), "alone", "a chain with slow blocks, or none");
  alpha.time = 2_000n;
  assert.equal(await pace(), "together");
});

it("refunds that came long ago make nobody wait", async () => {
  const { alpha, clock, pace } = world();
  alpha.time = 1_999n;
  for (let index = 0; index < 3; index++) await pace();
  clock.ms += 501;
  assert.equal(await pace(), "alone");
});

it("a chain that does not answer keeps no refund from being asked for", async () => {
  const { alpha, pace } = world();
  const down = new LockstepError("chain-unreachable", "no endpoint answers");
  Object.assign(alpha, { block: async () => Promise.reject(down) });
  assert.equal(await pace(), "alone");
});
