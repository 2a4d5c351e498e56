import { zeroAddress } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { type ItemTerms, itemLockId, type LockTerms, leafId, lockId } from "./lockId.ts";

/** Where a lock is: the contract that holds it, and the id of its chain. */
export type LockPlace = { readonly chainId: number; readonly contract: Hex };

/** A lock of any kind. A leaf is one entry of a batch: `root` names the batch's tree, `index` its place there. */
export type AnyLock =
  | { readonly kind: "payment"; readonly terms: LockTerms }
  | { readonly kind: "item"; readonly terms: ItemTerms }
  | { readonly kind: "leaf"; readonly terms: LockTerms; readonly root: Hex; readonly index: number };

/** What the lock's id has to be: the hash of its terms. */
export function idOf({ chainId, contract }: LockPlace, lock: AnyLock): Hex {
  switch (lock.kind) {
    case "payment":
      return lockId(chainId, contract, lock.terms);
    case "item":
      return itemLockId(chainId, contract, lock.terms);
    case "leaf":
      return leafId(chainId, contract, lock.terms, lock.index);
  }
}

/** How an asset is named: a lock of an item is of an ERC-721 exactly when its amount is zero. */
export function assetTypeOf({ kind, terms }: AnyLock): "native" | "erc20" | "erc721" | "erc1155" {
  if (kind === "item") return terms.amount === 0n ? "erc721" : "erc1155";
  return terms.token === zeroAddress ? "native" : "erc20";
}
