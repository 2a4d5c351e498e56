import { type Abi, decodeFunctionResult, encodeFunctionData, erc20Abi, erc721Abi, erc1155Abi } from "viem";
import type { Chain } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { Asset, LegTerms } from "./events.ts";

/** One spelling of an asset on its chain, the same for the same asset. */
export function assetKey(asset: Asset): string {
  switch (asset.type) {
    case "native":
      return "native";
    case "erc20":
      return asset.address;
    case "erc721":
    case "erc1155":
      return `${asset.address}/${asset.tokenId}`;
  }
}

type TokenCall = { readonly abi: Abi; readonly functionName: string; readonly args: readonly unknown[] };

/**
 * How much of a token an account holds (at a block, or at the latest), in its smallest unit; of an ERC-721 one or none. Throws `token-invalid` naming
 * the field where the contract is no such token.
 */
export async function tokenBalance(
  chain: Chain,
  asset: Exclude<Asset, { type: "native" }>,
  { holder, at }: { readonly holder: Hex; readonly at?: bigint },
  field: string,
): Promise<bigint> {
  const kind = asset.type.toUpperCase().replace("ERC", "ERC-");
  const invalid = (what: string) =>
    new LockstepError("token-invalid", `${field}: ${asset.address} on ${chain.name} ${what}`, { details: { field } });
  if (!(await chain.account(asset.address)).hasCode) throw invalid("has no code");
  const ask = (call: TokenCall) => read(chain, asset.address, call, at);
  try {
    switch (asset.type) {
      case "erc20":
        // An ERC-721 has balances too, and no allowances.
        await ask({ abi: erc20Abi, functionName: "allowance", args: [holder, holder] });
        return (await ask({ abi: erc20Abi, functionName: "balanceOf", args: [holder] })) as bigint;
      case "erc1155":
        return (await ask({ abi: erc1155Abi, functionName: "balanceOf", args: [holder, asset.tokenId] })) as bigint;
      case "erc721": {
        const owner = (await ask({ abi: erc721Abi, functionName: "ownerOf", args: [asset.tokenId] })) as Hex;
        return owner.toLowerCase() === holder.toLowerCase() ? 1n : 0n;
      }
    }
  } catch (error) {
    if (isLockstepError(error) && error.code !== "call-reverted") throw error;
    throw invalid(
      asset.type === "erc721" ? `is not an ${kind} token with id ${asset.tokenId}` : `is not an ${kind} token`,
    );
  }
}

/** Whether the timelock contract, or another spender, may take a leg's amount from its sender. */
export async function hasAllowance(
  chain: Chain,
  { asset, amount, sender, timelockContract }: LegTerms,
  spender: Hex = timelockContract,
): Promise<boolean> {
  if (asset.type === "native") return true;
  const args = [sender, spender];
  if (asset.type !== "erc20") {
    return (await read(chain, asset.address, { abi: erc721Abi, functionName: "isApprovedForAll", args })) as boolean;
  }
  const allowed = await read(chain, asset.address, { abi: erc20Abi, functionName: "allowance", args });
  return (allowed as bigint) >= amount;
}

async function read(chain: Chain, to: Hex, call: TokenCall, at?: bigint): Promise<unknown> {
  const data = encodeFunctionData(call);
  return decodeFunctionResult({ ...call, data: await chain.call({ to, data }, at) });
}
