import { decodeFunctionResult, encodeFunctionData } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { AnyLock } from "./anyLock.ts";
import { merkleProof } from "./merkle.ts";
import { encodeClaim, encodeRefund } from "./timelock.ts";
import type { Once } from "./typedData.ts";

/**
 * Calldata that claims a lock of any kind. `leaves` are the ids of all entries of a leaf's batch in their order, and
 * empty for what is no leaf. It carries the secret.
 */
export function encodeAnyClaim(lock: AnyLock, secret: Hex, leaves: readonly Hex[] = []): Hex {
  switch (lock.kind) {
    case "payment":
      return encodeClaim(lock.terms, secret);
    case "item":
      return encodeFunctionData({ abi: hashedTimelockAbi, functionName: "claimItem", args: [lock.terms, secret] });
    case "leaf": {
      const args = [lock.terms, BigInt(lock.index), merkleProof(leaves, lock.index), secret] as const;
      return encodeFunctionData({ abi: hashedTimelockAbi, functionName: "claimLeaf", args });
    }
  }
}

/** Calldata that refunds a lock of any kind; `leaves` as for `encodeAnyClaim`. */
export function encodeAnyRefund(lock: AnyLock, leaves: readonly Hex[] = []): Hex {
  switch (lock.kind) {
    case "payment":
      return encodeRefund(lock.terms);
    case "item":
      return encodeFunctionData({ abi: hashedTimelockAbi, functionName: "refundItem", args: [lock.terms] });
    case "leaf": {
      const args = [lock.terms, BigInt(lock.index), merkleProof(leaves, lock.index)] as const;
      return encodeFunctionData({ abi: hashedTimelockAbi, functionName: "refundLeaf", args });
    }
  }
}

/** What a signature needs besides the terms to be taken by the contract. */
export type Authorization = Once & { readonly signature: Hex };

/** Calldata that refunds a lock of any kind as its recipient signed; `leaves` as for `encodeAnyClaim`. */
export function encodeEarlyRefund(lock: AnyLock, signed: Authorization, leaves: readonly Hex[] = []): Hex {
  switch (lock.kind) {
    case "payment":
      return encodeFunctionData({ abi: hashedTimelockAbi, functionName: "refundEarly", args: [lock.terms, signed] });
    case "item":
      return encodeFunctionData({
        ...{ abi: hashedTimelockAbi, functionName: "refundItemEarly" },
        args: [lock.terms, signed],
      });
    case "leaf": {
      const args = [lock.terms, BigInt(lock.index), merkleProof(leaves, lock.index), signed] as const;
      return encodeFunctionData({ abi: hashedTimelockAbi, functionName: "refundLeafEarly", args });
    }
  }
}

/** Calldata of the view `openLeaves`; its answer goes through `decodeIsLeafOpen`. */
export function encodeOpenLeaves(batchId: Hex): Hex {
  return encodeFunctionData({ abi: hashedTimelockAbi, functionName: "openLeaves", args: [batchId] });
}

/** Whether the leaf at the index is open in the batch that was asked for. */
export function decodeIsLeafOpen(answer: Hex, index: number): boolean {
  const bitmap = decodeFunctionResult({ abi: hashedTimelockAbi, functionName: "openLeaves", data: answer });
  return ((bitmap >> BigInt(index)) & 1n) === 1n;
}
