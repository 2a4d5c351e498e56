import { decodeFunctionResult, encodeFunctionData, erc20Abi } from "viem";
import type { Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { SwapChain } from "../chains.ts";
import type { LegName } from "../events.ts";
import { lockingGas, type Reserves } from "../reserves.ts";
import type { Place } from "./pairs.ts";

/**
 * What an account has of an asset and of the chain's coin at one block, and the coin that gas may take: of one more swap
 * and of all that have not ended.
 */
export type Holding = {
  readonly amount: bigint;
  readonly coin: bigint;
  readonly gas: bigint;
  readonly asOf: bigint;
};

type Deps = { db: Queryable; reserves: Pick<Reserves, "closing" | "kept"> };
type Holder = { readonly account: string; readonly address: Hex };

/** Reads all of it at the latest block, so that what was locked since can be told. `leg`: which one the asset would be. */
export async function holdingOf(
  { db, reserves }: Deps,
  at: SwapChain,
  { account, address }: Holder,
  { asset, leg }: Pick<Place, "asset"> & { readonly leg: LegName },
): Promise<Holding> {
  const { chain } = at;
  const head = await chain.block("latest");
  if (!head) throw new LockstepError("chain-answer-invalid", `${chain.name} has no block`);
  const asOf = head.number;
  const [{ balance: coin }, { maxFeePerGas }] = await Promise.all([chain.account(address, asOf), chain.fees()]);
  const purse = { at, account, maxFeePerGas };
  // What a claim is worth is not known yet.
  const closing = reserves.closing(purse, { leg, claims: leg === "source", asset, amount: 2n ** 256n });
  const locking = leg === "target" ? lockingGas(asset) * maxFeePerGas : 0n;
  const gas = locking + closing + (await reserves.kept(db, purse));
  if (asset.type === "native") return { amount: coin, coin, gas, asOf };
  const data = encodeFunctionData({ abi: erc20Abi, functionName: "balanceOf", args: [address] });
  const answer = await chain.call({ to: asset.address, data }, asOf);
  return { amount: decodeFunctionResult({ abi: erc20Abi, functionName: "balanceOf", data: answer }), coin, gas, asOf };
}
