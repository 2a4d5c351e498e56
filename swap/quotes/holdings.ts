import { decodeFunctionResult, encodeFunctionData, erc20Abi } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { SwapChain } from "../chains.ts";
import { gasReserve } from "../request.ts";
import type { Place } from "./pairs.ts";

/** What an account has of an asset and of the chain's coin at one block, and the coin that a swap's gas may take. */
export type Holding = {
  readonly amount: bigint;
  readonly coin: bigint;
  readonly gas: bigint;
  readonly asOf: bigint;
};

/** Reads all of it at the latest block, so that what was locked since can be told. */
export async function holdingOf({ chain }: SwapChain, account: Hex, { asset }: Place): Promise<Holding> {
  const head = await chain.block("latest");
  if (!head) throw new LockstepError("chain-answer-invalid", `${chain.name} has no block`);
  const asOf = head.number;
  const [{ balance: coin }, { maxFeePerGas }] = await Promise.all([chain.account(account, asOf), chain.fees()]);
  const gas = maxFeePerGas * gasReserve;
  if (asset.type === "native") return { amount: coin, coin, gas, asOf };
  const data = encodeFunctionData({ abi: erc20Abi, functionName: "balanceOf", args: [account] });
  const answer = await chain.call({ to: asset.address, data }, asOf);
  return { amount: decodeFunctionResult({ abi: erc20Abi, functionName: "balanceOf", data: answer }), coin, gas, asOf };
}
