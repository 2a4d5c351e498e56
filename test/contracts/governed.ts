import { encodeFunctionData, getAddress, type Hex, slice } from "viem";
import { accessManagerAbi } from "#core/abi/accessManager.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { TestChain } from "./chains.ts";

/** Where a proxy keeps the address of its implementation (ERC-1967). */
const implementationSlot = "0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc";

export async function implementationOf(chain: TestChain, proxy: Hex): Promise<Hex> {
  const word = await chain.reader.getStorageAt({ address: proxy, slot: implementationSlot });
  return getAddress(slice(word!, 12));
}

/** Calldata that upgrades a gateway and has the new implementation run `then`. */
export const encodeUpgrade = (implementation: Hex, then: Hex = "0x"): Hex =>
  encodeFunctionData({ abi: gatewayAbi, functionName: "upgradeToAndCall", args: [implementation, then] });

/** Calldata for an AccessManager: the caller wants to make this call as soon as its delay allows. */
export const encodeSchedule = (target: Hex, data: Hex): Hex =>
  encodeFunctionData({ abi: accessManagerAbi, functionName: "schedule", args: [target, data, 0] });

/** Lets time pass on a chain. */
export async function wait(chain: TestChain, seconds: number): Promise<void> {
  await chain.cheat.increaseTime({ seconds });
  await chain.cheat.mine({ blocks: 1 });
}

/** A later gateway, not behind a proxy yet. */
export const deploySecond = async (chain: TestChain): Promise<Hex> =>
  chain.deploy("contracts/mocks/GatewayV2.sol/GatewayV2", [
    await chain.deploy("contracts/GatewayControl.sol/GatewayControl"),
  ]);
