import { decodeFunctionResult, encodeFunctionData, zeroAddress } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { LockTerms } from "./lockId.ts";

export type { LockTerms } from "./lockId.ts";

/** Wei to send along with `lock`: amount and tip of a native lock, otherwise the tip. */
export function lockValue(terms: LockTerms): bigint {
  return terms.token === zeroAddress ? terms.amount + terms.tip : terms.tip;
}

/** Calldata of `lock`; the sender of the terms must send it, with `lockValue(terms)`. */
export function encodeLock(terms: LockTerms): Hex {
  return encodeFunctionData({ abi: hashedTimelockAbi, functionName: "createLock", args: [terms] });
}

/** Calldata of `claim`. It carries the secret: keep it from logs, jobs and stores. */
export function encodeClaim(terms: LockTerms, secret: Hex): Hex {
  return encodeFunctionData({ abi: hashedTimelockAbi, functionName: "claim", args: [terms, secret] });
}

/** Calldata of `refund`. */
export function encodeRefund(terms: LockTerms): Hex {
  return encodeFunctionData({ abi: hashedTimelockAbi, functionName: "refund", args: [terms] });
}

/** Calldata of the view `isOpen`; its answer goes through `decodeIsOpen`. */
export function encodeIsOpen(lockId: Hex): Hex {
  return encodeFunctionData({ abi: hashedTimelockAbi, functionName: "isOpen", args: [lockId] });
}

/** True from the lock to the claim or refund, whatever the time. */
export function decodeIsOpen(answer: Hex): boolean {
  return decodeFunctionResult({ abi: hashedTimelockAbi, functionName: "isOpen", data: answer });
}
