import { zeroHash } from "viem";
import type { Block } from "../chain/chain.ts";
import type { Hex } from "../kernel/codec.ts";

export type KnownBlock = { readonly number: bigint; readonly hash: Hex };

/** What was read of the chain so far: its head, and further blocks by number. */
export type ChainView = { readonly head: Block; readonly blocks: ReadonlyMap<bigint, Block> };

export type Reconciliation =
  /** The chain ends in a block that is known, or below all that are known: nothing new, perhaps a node that lags. */
  | { readonly kind: "unchanged" }
  /** The last known block stands and more follow. */
  | { readonly kind: "extended" }
  /** Everything known above `ancestor` is gone. */
  | { readonly kind: "reorged"; readonly ancestor: KnownBlock }
  /** A block that counted as final is gone. */
  | { readonly kind: "too-deep"; readonly number: bigint; readonly known: Hex; readonly found: Hex }
  /** Cannot be decided before the block of this number is read. */
  | { readonly kind: "read"; readonly number: bigint }
  /** The blocks read do not belong to one chain: it changed meanwhile, so read again. */
  | { readonly kind: "torn" };

/**
 * Compares the blocks that were recorded with the chain as it is. `known` is in ascending order, ends with the last
 * recorded block, holds the last final one, and has no gap above it. Block −1, the parent of the first, is all zero.
 */
export function reconcile(known: readonly KnownBlock[], final: bigint, view: ChainView): Reconciliation {
  if (isTorn(view)) return { kind: "torn" };
  const tip = known.at(-1);
  if (tip === undefined) return { kind: "extended" };
  for (let place = known.length - 1; place >= 0; place--) {
    const block = known[place];
    if (block === undefined || block.number > view.head.number) continue;
    const found = hashAt(view, block.number);
    if (found === undefined) return { kind: "read", number: block.number };
    if (found === block.hash) {
      if (block.number === view.head.number) return { kind: "unchanged" };
      return block === tip ? { kind: "extended" } : { kind: "reorged", ancestor: block };
    }
    if (block.number <= final) return { kind: "too-deep", number: block.number, known: block.hash, found };
  }
  return { kind: "unchanged" };
}

function hashAt(view: ChainView, number: bigint): Hex | undefined {
  if (number < 0n) return zeroHash;
  if (number === view.head.number) return view.head.hash;
  if (number + 1n === view.head.number) return view.head.parentHash;
  return view.blocks.get(number)?.hash ?? view.blocks.get(number + 1n)?.parentHash;
}

function isTorn(view: ChainView): boolean {
  const all = new Map(view.blocks);
  const again = all.get(view.head.number);
  if (again !== undefined && again.hash !== view.head.hash) return true;
  all.set(view.head.number, view.head);
  return [...all.values()].some((block) => {
    const parent = all.get(block.number - 1n);
    return block.number > view.head.number || (parent !== undefined && parent.hash !== block.parentHash);
  });
}
