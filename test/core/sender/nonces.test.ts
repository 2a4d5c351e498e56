import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { allocateNonces, forgetOld, gapsBelow } from "#core/sender/nonces.ts";

const nonce = fc.nat(60);

describe("nonces", () => {
  it("are new, distinct, rising, and leave no gap behind", () => {
    fc.assert(
      fc.property(nonce, fc.uniqueArray(nonce), fc.nat(20), (chainNonce, used, count) => {
        const taken = new Set(used);
        const given = allocateNonces(chainNonce, taken, count);
        assert.equal(given.length, count);
        assert.ok(given.every((each) => each >= chainNonce && !taken.has(each)));
        assert.ok(given.every((each, index) => index === 0 || each > (given[index - 1] ?? 0)));
        const all = new Set([...taken, ...given]);
        const highest = given.at(-1);
        for (let each = chainNonce; highest !== undefined && each <= highest; each++) assert.ok(all.has(each));
      }),
    );
  });

  it("run on after the highest taken one when there is no gap", () => {
    fc.assert(
      fc.property(nonce, fc.nat(10), fc.integer({ min: 1, max: 9 }), (chainNonce, open, count) => {
        const taken = new Set(Array.from({ length: open }, (_, index) => chainNonce + index));
        assert.equal(allocateNonces(chainNonce, taken, count)[0], chainNonce + open);
      }),
    );
  });

  it("have a gap only when the chain waits for one that nobody has", () => {
    assert.deepEqual(gapsBelow(5, [8, 7]), [5, 6]);
    assert.deepEqual(gapsBelow(5, [5, 7]), []);
    assert.deepEqual(gapsBelow(5, [4, 7]), []);
    assert.deepEqual(gapsBelow(5, []), []);
    assert.equal(gapsBelow(0, [1_000]).length, 16, "a few at a time");
  });

  it("are forgotten long after they were used, and not while they are under way or a node may lag behind them", () => {
    const open = 7;
    const taken = new Set<number>();
    for (let each = 0; each < 20_000; each++) {
      taken.add(each);
      forgetOld(taken, each, (nonce) => nonce === open);
      assert.ok(taken.size < 2_100, `${taken.size} are remembered`);
    }
    assert.ok(taken.has(open));
    for (let each = 19_000; each < 20_000; each++) assert.ok(taken.has(each));
  });
});
