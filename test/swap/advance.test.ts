import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LockstepError } from "#core/kernel/errors.ts";
import { createAdvance } from "#swap/advance.ts";

function world(outcomes: readonly string[]) {
  const clock = { ms: 5_000, now: () => clock.ms, sleep: async () => undefined };
  const postponed: [string, number][] = [];
  const index = { postpone: async (id: string, at: Date) => void postponed.push([id, at.getTime()]) };
  const held = { now: false };
  const left = [...outcomes];
  const advance = createAdvance({ index, clock, isHeld: async () => held.now }, async () => {
    const code = left.shift();
    if (code === "conflict" || code === "not-found") throw new LockstepError(code, "no");
  });
  return { advance, held, postponed, left };
}

describe("advancing", () => {
  it("is put off for a second while nothing may be decided", async () => {
    const { advance, held, postponed, left } = world(["done"]);
    held.now = true;
    await advance("1");
    assert.deepEqual(postponed, [["1", 6_000]]);
    assert.equal(left.length, 1);
    held.now = false;
    await advance("1");
    assert.equal(left.length, 0);
  });

  it("begins again when somebody else wrote meanwhile, five times at most, and for nothing else", async () => {
    const often = world([...Array(4).fill("conflict"), "done"]);
    await often.advance("1");
    assert.equal(often.left.length, 0);
    await assert.rejects(world(Array(5).fill("conflict")).advance("1"), { code: "conflict" });
    const unknown = world(["not-found", "done"]);
    await assert.rejects(unknown.advance("1"), { code: "not-found" });
    assert.equal(unknown.left.length, 1);
  });
});
