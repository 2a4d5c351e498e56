import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  type ChainTiming,
  deadlinesOf,
  defaultTimelocks,
  earliestTimelocks,
  type SwapTiming,
  unsafeTimelock,
} from "#swap/deadlines.ts";

const seconds = fc.bigInt({ min: 0n, max: 100_000n });
const chainTiming: fc.Arbitrary<ChainTiming> = fc.record(
  { finality: seconds, inclusion: seconds, outage: seconds, skew: seconds },
  { requiredKeys: ["finality", "inclusion", "skew"] },
);
/** I of a chain. */
const bound = ({ inclusion, outage = 0n }: ChainTiming) => inclusion + outage;
const timing: fc.Arbitrary<SwapTiming> = fc.record({ source: chainTiming, target: chainTiming, reaction: seconds });
const now = fc.bigInt({ min: 1_700_000_000n, max: 4_000_000_000n });

describe("swap deadlines", () => {
  it("give the numbers of a worked example", () => {
    const chain = { finality: 60n, inclusion: 30n, skew: 5n };
    const t: SwapTiming = { source: chain, target: { finality: 10n, inclusion: 4n, skew: 2n }, reaction: 7n };
    assert.deepEqual(deadlinesOf(t, { source: 0n, target: 1_000n }), {
      revealBy: 1_000n - 2n - 7n - 8n - 10n,
      counterLockBy: 973n - 7n - 4n - 10n,
      sourceLockBy: 952n - 7n - 30n - 60n,
      sourceClaimUntil: 5n,
    });
    assert.deepEqual(earliestTimelocks(t, 855n), { target: 1_000n, source: 1_000n + 2n + 10n + 5n + 7n + 60n + 60n });
  });

  it("leave every step its time when each takes as long as its bound allows", () => {
    fc.assert(
      fc.property(timing, now, (t, begin) => {
        const timelocks = earliestTimelocks(t, begin);
        const deadlines = deadlinesOf(t, timelocks);
        const lock = (at: bigint, chain: ChainTiming) => at + t.reaction + bound(chain) + chain.finality;
        const sourceFinal = lock(begin, t.source);
        assert.ok(begin <= deadlines.sourceLockBy && sourceFinal <= deadlines.counterLockBy);
        const targetFinal = lock(sourceFinal, t.target);
        assert.ok(targetFinal <= deadlines.revealBy);
        const claimed = targetFinal + t.reaction + 2n * bound(t.target) + t.target.finality;
        assert.ok(
          claimed + t.target.skew <= timelocks.target,
          "the reveal is mined before the target leg can be refunded",
        );
        // In a block made before T2, in a branch that replaces blocks up to the moment when they would be final.
        const lastReveal = timelocks.target + t.target.skew + t.target.finality;
        const sourceClaimed = lastReveal + t.reaction + 2n * bound(t.source) + t.source.finality;
        assert.ok(
          sourceClaimed + t.source.skew <= timelocks.source,
          "even the latest reveal leaves time on the source chain",
        );
      }),
    );
  });

  it("accept exactly the earliest timelocks and nothing a second tighter", () => {
    fc.assert(
      fc.property(timing, now, (t, begin) => {
        const tight = earliestTimelocks(t, begin);
        assert.equal(unsafeTimelock(t, tight, begin), undefined);
        assert.equal(unsafeTimelock(t, { ...tight, target: tight.target - 1n }, begin)?.leg, "target");
        const source = unsafeTimelock(t, { ...tight, source: tight.source - 1n }, begin);
        assert.deepEqual(source, { leg: "source", given: tight.source - 1n, least: tight.source });
        assert.equal(unsafeTimelock(t, tight, begin + 1n)?.leg, "target");
      }),
    );
  });

  it("allow for a chain that stands still as for one that is slow", () => {
    fc.assert(
      fc.property(timing, now, (t, begin) => {
        const slow = ({ outage: _, ...chain }: ChainTiming & { outage?: bigint }, outage = 0n): ChainTiming => ({
          ...chain,
          inclusion: chain.inclusion + outage,
        });
        const same = { ...t, source: slow(t.source, t.source.outage), target: slow(t.target, t.target.outage) };
        assert.deepEqual(earliestTimelocks(t, begin), earliestTimelocks(same, begin));
        const timelocks = defaultTimelocks(same, begin);
        assert.deepEqual(deadlinesOf(t, timelocks), deadlinesOf(same, timelocks));
      }),
    );
  });

  it("choose default timelocks that are safe", () => {
    fc.assert(
      fc.property(timing, now, (t, begin) => {
        assert.equal(unsafeTimelock(t, defaultTimelocks(t, begin), begin), undefined);
      }),
    );
  });
});
