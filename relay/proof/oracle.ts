import { decodeFunctionResult, encodeFunctionData, zeroHash } from "viem";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import type { Chain } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { createGatewayReader } from "../gateway.ts";

/** What a state oracle holds for a block number: nothing, a header that counts, or one that does so no longer. */
export type OracleHeader = { readonly state: "none" | "void" } | { readonly state: "counts"; readonly blockHash: Hex };

/** Reads a state oracle as `stateRootAt` would, without its reverts. */
export async function readOracle(
  { chain, gateway, stateOracle }: { chain: Chain; gateway: Hex; stateOracle: Hex },
  originChainId: number,
  generation: number,
  height: bigint,
): Promise<OracleHeader> {
  const args = [BigInt(originChainId), height] as const;
  const data = encodeFunctionData({ abi: stateOracleAbi, functionName: "headerOf", args });
  const answer = await chain.call({ to: stateOracle, data });
  const stored = decodeFunctionResult({ abi: stateOracleAbi, functionName: "headerOf", data: answer });
  if (stored.blockHash === zeroHash) return { state: "none" };
  const { validUntil } = await createGatewayReader({ chain, gateway }).epochInfo(originChainId, stored.epoch);
  // An epoch that was revoked was never valid; one that expired keeps its last second.
  if (stored.generation !== generation || validUntil === 0n) return { state: "void" };
  return { state: "counts", blockHash: stored.blockHash };
}
