import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { numberToHex } from "viem";
import type { Block } from "#core/chain/chain.ts";
import { type KnownBlock, type Reconciliation, reconcile } from "#core/indexer/reconcile.ts";

/** A block of a branch; the branches share their blocks up to the fork. */
function block(number: bigint, branch: number, fork: bigint): Block {
  const name = (height: bigint) =>
    numberToHex((height + 2n) * 8n + (height > fork ? BigInt(branch) : 0n), { size: 32 });
  return { number, hash: name(number), parentHash: name(number - 1n), timestamp: number };
}

type Scene = { fork: bigint; tip: bigint; head: bigint; lowest: bigint; final: bigint };

const scenes = fc
  .record({ lowest: fc.nat(20), a: fc.nat(12), b: fc.nat(12), c: fc.nat(12), head: fc.integer({ min: -5, max: 30 }) })
  .map(({ lowest, a, b, c, head }): Scene => {
    const final = lowest + a;
    const tip = final + b;
    const fork = lowest - 2 + c;
    return {
      lowest: BigInt(lowest),
      final: BigInt(final),
      tip: BigInt(tip),
      fork: BigInt(Math.max(0, fork)),
      head: BigInt(Math.max(0, lowest + head)),
    };
  });

/** Reads what is asked for until there is a decision. */
function decide(
  scene: Scene,
  readBranch: (read: number) => number = () => 2,
): { result: Reconciliation; reads: number } {
  const known: KnownBlock[] = [];
  for (let n = scene.lowest; n <= scene.tip; n++) known.push(block(n, 1, scene.fork));
  const blocks = new Map<bigint, Block>();
  for (let reads = 0; ; reads++) {
    const result = reconcile(known, scene.final, { head: block(scene.head, 2, scene.fork), blocks });
    if (result.kind !== "read") return { result, reads };
    assert.equal(blocks.has(result.number), false, "no block is asked for twice");
    blocks.set(result.number, block(result.number, readBranch(reads), scene.fork));
  }
}

function expected({ fork, tip, head, lowest, final }: Scene): string {
  const common = fork < head ? fork : head;
  if (head < lowest) return "unchanged";
  if (head <= fork && head <= tip) return "unchanged";
  if (tip <= fork) return "extended";
  const compared = head < tip ? head : tip;
  if (common < final || compared < final) return "too-deep";
  return `reorged ${common}`;
}

describe("reconcile", () => {
  it("finds the highest common block, or that a final one is gone", () => {
    fc.assert(
      fc.property(scenes, (scene) => {
        const { result } = decide(scene);
        const shown = result.kind === "reorged" ? `reorged ${result.ancestor.number}` : result.kind;
        assert.equal(shown, expected(scene));
      }),
      { numRuns: 1_000 },
    );
  });

  it("reads at most one block for each one that is gone", () => {
    fc.assert(
      fc.property(scenes, (scene) => {
        const gone = scene.tip > scene.fork ? Number(scene.tip - scene.fork) : 0;
        assert.ok(decide(scene).reads <= gone + 1);
      }),
    );
  });

  it("never takes the chain for its own when it changes between two reads", () => {
    fc.assert(
      fc.property(scenes, fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1 }), (scene, branches) => {
        const { result } = decide(scene, (read) => branches[read % branches.length] ?? 2);
        // Whatever was read in between: an ancestor named is one that both branches share.
        if (result.kind === "reorged") assert.ok(result.ancestor.number <= scene.fork || branches.includes(1));
      }),
    );
  });

  it("calls blocks torn that do not follow from each other", () => {
    const known = [block(5n, 1, 0n)];
    const blocks = new Map([
      [7n, block(7n, 1, 0n)],
      [8n, block(8n, 2, 0n)],
    ]);
    assert.equal(reconcile(known, 5n, { head: block(9n, 2, 0n), blocks }).kind, "torn");
  });

  it("needs no read for the next block", () => {
    assert.deepEqual(decide({ lowest: 3n, final: 3n, tip: 9n, head: 10n, fork: 99n }), {
      result: { kind: "extended" },
      reads: 0,
    });
  });
});
