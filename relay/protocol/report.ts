import { encodeFunctionData } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { compact } from "./calls.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { type QuorumSet, toContractSet } from "./quorum.ts";

/** Two checkpoints that contradict each other, both signed by one validator, and the epoch in which it is to count no more. */
export type EquivocationReport = {
  readonly first: Checkpoint;
  readonly firstSignature: Hex;
  readonly second: Checkpoint;
  readonly secondSignature: Hex;
  readonly epoch: bigint;
  readonly set: QuorumSet;
};

/** Calldata of the destination's `reportEquivocation`. */
export function encodeReport({ first, second, epoch, set, ...signatures }: EquivocationReport): Hex {
  const word = (checkpoint: Checkpoint) => ({ ...checkpoint, originChainId: BigInt(checkpoint.originChainId) });
  return encodeFunctionData({
    abi: gatewayAbi,
    functionName: "reportEquivocation",
    args: [
      ...([word(first), compact(signatures.firstSignature)] as const),
      ...([word(second), compact(signatures.secondSignature)] as const),
      ...([epoch, toContractSet(set)] as const),
    ],
  });
}
