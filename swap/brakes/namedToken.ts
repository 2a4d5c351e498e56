import { type Abi, decodeFunctionResult, encodeFunctionData, erc20Abi, zeroAddress } from "viem";
import type { Chain } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { HaltedAsset } from "./scope.ts";

/** ERC-165 ids of the standards for items. */
const interfaceIds = { erc721: "0x80ac58cd", erc1155: "0xd9b67a26" } as const;

const erc165Abi = [
  {
    type: "function",
    name: "supportsInterface",
    stateMutability: "view",
    inputs: [{ type: "bytes4" }],
    outputs: [{ type: "bool" }],
  },
] as const satisfies Abi;

/**
 * Throws `token-invalid` where the chain shows that there is no such token at the address, so that a slip of the pen does
 * not pass for a halt. A chain that does not answer is no reason to refuse: a halt is most urgent when things are down.
 */
export async function refuseNoToken(
  chain: Pick<Chain, "name" | "account" | "call">,
  asset: HaltedAsset,
): Promise<void> {
  if (asset.type === "native") return;
  try {
    const { hasCode } = await chain.account(asset.address);
    if (!hasCode) throw noToken(chain, asset, "has no code");
    const kind = asset.type.replace("erc", "ERC-");
    if (!(await answersAs(chain, asset))) throw noToken(chain, asset, `is not an ${kind} token`);
  } catch (error) {
    if (isLockstepError(error, "token-invalid")) throw error;
  }
}

async function answersAs(chain: Pick<Chain, "call">, { type, address }: Exclude<HaltedAsset, { type: "native" }>) {
  const ask = async (abi: Abi, functionName: string, args: readonly unknown[]) => {
    const data = await chain.call({ to: address, data: encodeFunctionData({ abi, functionName, args }) });
    return decodeFunctionResult({ abi, functionName, data });
  };
  try {
    if (type !== "erc20") return (await ask(erc165Abi, "supportsInterface", [interfaceIds[type]])) === true;
    // An ERC-721 has balances too, and no allowances.
    await ask(erc20Abi, "allowance", [address, address]);
    await ask(erc20Abi, "balanceOf", [zeroAddress as Hex]);
    return true;
  } catch (error) {
    if (isLockstepError(error) && error.code !== "call-reverted") throw error;
    return false;
  }
}

const noToken = ({ name }: Pick<Chain, "name">, { address }: { address: Hex }, what: string) =>
  new LockstepError("token-invalid", `asset.address: ${address} on ${name} ${what}`, {
    details: { field: "asset.address" },
  });
