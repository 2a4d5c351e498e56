import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { numberToHex } from "viem";
import { advancedWord, availableAt, decodeLaneWord, inboundSlots, refilledAt } from "#relay/protocol/laneWord.ts";

type Bucket = { used: bigint; usedAt: bigint; capacity: bigint; window: bigint };

const pack = (nonce: bigint, { used, usedAt, capacity, window }: Bucket, rest = 0n) =>
  numberToHex(nonce | rest | (used << 128n) | (usedAt << 160n) | (capacity << 200n) | (window << 232n), { size: 32 });

const bucket = fc
  .record({
    capacity: fc.bigInt(1n, 5_000n),
    used: fc.bigInt(0n, 5_000n),
    usedAt: fc.bigInt(0n, 10n ** 10n),
    window: fc.bigInt(1n, 100_000n),
  })
  .map((each) => ({ ...each, used: each.used > each.capacity ? each.capacity : each.used }));

describe("a lane's word", () => {
  it("says who is where, what is paused and what is held back", () => {
    const none = { used: 0n, usedAt: 0n, capacity: 0n, window: 0n };
    const word = decodeLaneWord(pack(7n, none, (3n << 64n) | (1n << 96n) | (1n << 104n) | (5n << 112n)));
    assert.deepEqual(word, { nonce: 7n, generation: 3, isPaused: true, deferrals: 5 });
    assert.equal(availableAt(word, 1n), undefined);
  });

  it("says when its bucket lets so many through: then, and not a second earlier", () => {
    fc.assert(
      fc.property(bucket, fc.bigInt(1n, 5_000n), (each, wanted) => {
        const word = decodeLaneWord(pack(1n, each));
        const least = wanted < each.capacity ? wanted : each.capacity;
        const at = refilledAt(word, wanted);
        assert.ok((availableAt(word, at > each.usedAt ? at : each.usedAt) ?? 0n) >= least);
        if (at > each.usedAt) assert.ok((availableAt(word, at - 1n) ?? 0n) < least);
      }),
    );
  });

  it("is the same after deliveries but for the head and what was used", () => {
    fc.assert(
      fc.property(bucket, fc.bigInt(0n, 1_000n), fc.bigInt(0n, 10_000n), (each, nonce, count) => {
        const rest = (9n << 64n) | (2n << 112n);
        const word = decodeLaneWord(advancedWord(pack(1n, each, rest), nonce, count));
        const used = each.used + count > each.capacity ? each.capacity : each.used + count;
        assert.deepEqual(word, { ...decodeLaneWord(pack(nonce, { ...each, used }, rest)) });
      }),
    );
  });

  it("follows its accumulator, at another place for every origin", () => {
    const [one, two] = [inboundSlots(1), inboundSlots(2)];
    assert.equal(BigInt(one.state), BigInt(one.accumulator) + 1n);
    assert.notEqual(one.state, two.state);
  });
});
