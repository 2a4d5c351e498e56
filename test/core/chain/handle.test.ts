import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ChainAccess } from "#core/chain/chain.ts";
import { createChainHandle } from "#core/chain/handle.ts";

/** A chain of which only the watchers matter. */
function watched(chainId = 1) {
  const watchers = new Set<() => void>();
  const watchHeads = (onHead: () => void) => {
    const own = () => onHead();
    watchers.add(own);
    return () => void watchers.delete(own);
  };
  const access = { name: "alpha", chainId, watchHeads } as Partial<ChainAccess> as ChainAccess;
  return { access, watchers, tell: () => watchers.forEach((wake) => void wake()) };
}

describe("the handle of a chain", () => {
  it("takes those who wait for heads along, leaves nobody at the chain before, and brings nobody back", () => {
    const [first, second, third] = [watched(), watched(), watched()];
    const handle = createChainHandle(first.access);
    const woken = { stays: 0, goes: 0 };
    const leave = handle.access.watchHeads(() => {
      woken.goes += 1;
    });
    const end = handle.access.watchHeads(() => {
      woken.stays += 1;
    });
    handle.replace(second.access);
    assert.deepEqual([first.watchers.size, second.watchers.size], [0, 2]);
    second.tell();
    leave();
    handle.replace(third.access);
    third.tell();
    assert.deepEqual([second.watchers.size, third.watchers.size, woken], [0, 1, { stays: 2, goes: 1 }]);
    end();
    end();
    assert.equal(third.watchers.size, 0);
  });

  it("leads to no other chain", () => {
    assert.throws(() => createChainHandle(watched().access).replace(watched(2).access), RangeError);
  });
});
