import { encodeFunctionData, parseAbi } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import type { TestNetwork } from "#test/support/network.ts";
import { bridgeSide } from "./bridgeNetwork.ts";

export type LegRequest = { chain: string; asset: object; amount: string };
export type AssetKind = "native" | "erc20" | "erc721";
export const assetKinds: readonly AssetKind[] = ["native", "erc20", "erc721"];

/** Gives people what they then swap: legs of each kind of asset, on either chain. */
export type Market = {
  /** What `holder` can lock: one of its coins, which it must have, or tokens that are minted for it here. */
  leg(chain: string, kind: AssetKind, holder: Hex): Promise<LegRequest>;
};

const mintable = parseAbi(["function mint(address to, uint256 what)"]);
const contracts = {
  erc20: "contracts/mocks/PermitToken.sol/PermitToken",
  erc721: "contracts/mocks/Items.sol/PlainNft",
} as const;

export async function openMarket(test: TestNetwork): Promise<Market> {
  const tokens = new Map<string, Hex>();
  const sides = Object.fromEntries(["alpha", "beta"].map((chain) => [chain, bridgeSide(test, chain)]));
  for (const [chain, side] of Object.entries(sides)) {
    for (const [kind, artifact] of Object.entries(contracts)) tokens.set(chain + kind, await side.deploy(artifact));
  }
  let serial = 1n;
  return {
    async leg(chain, kind, holder) {
      if (kind === "native") return { chain, asset: { type: "native" }, amount: "1000000000000000" };
      const address = tokens.get(chain + kind) ?? "0x";
      const what = kind === "erc20" ? 500n : serial++;
      const data = encodeFunctionData({ abi: mintable, functionName: "mint", args: [holder, what] });
      await sides[chain]?.send("deployer", { to: address, data });
      if (kind === "erc20") return { chain, asset: { type: "erc20", address }, amount: "500" };
      return { chain, asset: { type: "erc721", address, tokenId: what.toString() }, amount: "1" };
    },
  };
}
