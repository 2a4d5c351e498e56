import { concat, type Hex, numberToHex, pad, size } from "viem";
import type { LocalChain } from "./localChain.ts";

// Hand-assembled contracts, so that tests of chain access need no compiler.

const ringerRuntime: Hex = concat([
  "0x600035", // 00: calldataload(0)             [word]
  "0x801915601757", // 03: jump to 17 if not(word) is zero
  "0x8060006000a1", // 09: log1(0, 0, word)
  "0x60005401", // 0f: add what slot 0 holds     [sum]
  "0x60005500", // 13: sstore(0, sum), stop
  "0x5b60006000fd", // 17: revert
]);

/** Calldata that makes the ringer revert. */
export const revertingWord = 2n ** 256n - 1n;

export type Ringer = { readonly address: Hex; ring(word: bigint): Promise<Hex> };

/** Reverts every call with these bytes (up to 255). */
export async function deployReverter(chain: LocalChain, bytes: Hex): Promise<Hex> {
  const length = numberToHex(size(bytes), { size: 1 });
  // codecopy(0, 12, length); revert(0, length), then the bytes themselves
  return deploy(chain, concat(["0x60", length, "0x600c60003960", length, "0x6000fd", bytes]));
}

/**
 * Emits one log for every call, its only topic being the first word of the calldata, and adds that word to slot 0, so
 * that storage shows how often what was called. The word 2^256 − 1 reverts.
 */
export async function deployRinger(chain: LocalChain): Promise<Ringer> {
  const address = await deploy(chain, ringerRuntime);
  const [from] = await chain.rpc<Hex[]>("eth_accounts");
  const ring = (word: bigint) =>
    chain.rpc<Hex>("eth_sendTransaction", [{ from, to: address, data: ringData(word), gas: "0x30000" }]);
  return { address, ring };
}

export const ringData = (word: bigint): Hex => numberToHex(word, { size: 32 });

/** The sum of all words that were rung. */
export async function rungTotal(chain: LocalChain, ringer: Hex): Promise<bigint> {
  return BigInt(await chain.rpc<Hex>("eth_getStorageAt", [ringer, pad("0x00"), "latest"]));
}

async function deploy(chain: LocalChain, runtime: Hex): Promise<Hex> {
  const [from] = await chain.rpc<Hex[]>("eth_accounts");
  const length = numberToHex(size(runtime), { size: 1 });
  // codecopy(0, 12, size); return(0, size)
  const data = concat(["0x60", length, "0x600c60003960", length, "0x6000f3", runtime]);
  const hash = await chain.rpc<Hex>("eth_sendTransaction", [{ from, data, gas: "0x80000" }]);
  const receipt = () => chain.rpc<{ contractAddress: Hex } | null>("eth_getTransactionReceipt", [hash]);
  if ((await receipt()) === null) await chain.mine();
  const found = await receipt();
  if (found === null) throw new Error("the deployment was not mined");
  return found.contractAddress;
}
