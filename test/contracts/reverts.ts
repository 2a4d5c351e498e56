import { type Abi, BaseError, decodeErrorResult, type Hex } from "viem";
import { accessManagerAbi } from "#core/abi/accessManager.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import type { TestChain } from "./chains.ts";

/** The bytes with which a call that viem made reverted; undefined for any other error. */
export function revertData(error: unknown): Hex | undefined {
  return error instanceof BaseError ? dataOf(error.walk((inner) => dataOf(inner) !== undefined)) : undefined;
}

/** Errors carry the bytes themselves or, as the chain in this process does, an object that has them. */
function dataOf(error: unknown): Hex | undefined {
  const data = (error as { data?: Hex | { data?: Hex } } | null)?.data;
  return typeof data === "object" ? data.data : data;
}

/**
 * The name of the error with which a call would revert now, of the errors of a gateway, its state oracle and its
 * AccessManager; undefined when it would succeed, "nothing said" when it reverts without one. The call is made in the
 * next block.
 */
export async function refusalOf(chain: TestChain, from: Hex, to: Hex, data: Hex): Promise<string | undefined> {
  try {
    await chain.reader.call({ account: from, to, data, blockTag: "pending" });
    return undefined;
  } catch (error) {
    const reverted = revertData(error);
    if (!reverted) throw error;
    if (reverted === "0x") return "nothing said";
    return decodeErrorResult({ abi: errors, data: reverted }).errorName;
  }
}

const errors: Abi = [...accessManagerAbi, ...gatewayAbi, ...stateOracleAbi];
