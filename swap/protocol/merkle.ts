import { concat, zeroHash } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { keccak256 } from "#core/kernel/keccak.ts";

/** The root of a batch: pairs are sorted before they are hashed, zero leaves fill up to a power of two. */
export function merkleRoot(leaves: readonly Hex[]): Hex {
  const root = levels(leaves).at(-1)?.[0];
  if (!root || leaves.length === 0) throw new RangeError("a tree has at least one leaf");
  return root;
}

/** The siblings from the leaf at `index` up to the root, as the contract wants them. */
export function merkleProof(leaves: readonly Hex[], index: number): Hex[] {
  if (!leaves[index]) throw new RangeError(`there is no leaf ${index}`);
  return levels(leaves)
    .slice(0, -1)
    .map((level, height) => level[(index >> height) ^ 1] ?? zeroHash);
}

/** The root that a proof leads to from a leaf. */
export function rootOf(leaf: Hex, proof: readonly Hex[]): Hex {
  return proof.reduce((node, sibling) => hashPair(node, sibling), leaf);
}

/** From the padded leaves up to the root. */
function levels(leaves: readonly Hex[]): Hex[][] {
  const width = 2 ** Math.ceil(Math.log2(Math.max(leaves.length, 1)));
  let level = Array.from({ length: width }, (_, index) => leaves[index] ?? zeroHash);
  const all = [level];
  while (level.length > 1) {
    level = level.flatMap((left, i) => (i % 2 === 0 ? [hashPair(left, level[i + 1] ?? zeroHash)] : []));
    all.push(level);
  }
  return all;
}

function hashPair(one: Hex, other: Hex): Hex {
  return keccak256(BigInt(one) < BigInt(other) ? concat([one, other]) : concat([other, one]));
}
