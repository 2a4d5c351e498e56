import { encodeAbiParameters, type Hex, keccak256, numberToHex } from "viem";
import { type BlockHeader, readBlockHeader } from "#core/chain/blockHeader.ts";
import type { TestChain } from "#test/contracts/chains.ts";

/** What a node answers to `eth_getProof`, as it comes. */
export type NodeProof = {
  address: Hex;
  nonce: Hex;
  balance: Hex;
  codeHash: Hex;
  storageHash: Hex;
  accountProof: Hex[];
  storageProof: { key: Hex; value: Hex; proof: Hex[] }[];
};

/**
 * Two slots whose paths in a storage trie have their first eight nibbles in common (found by trying): with small values
 * their leaves are so short that the branch above holds them as they are and not by their hashes.
 */
export const neighbours = [numberToHex(40_364, { size: 32 }), numberToHex(105_566, { size: 32 })] as const;

/** A block as the node answers it, without a look at it. */
export const rawBlock = (chain: TestChain, number: bigint) =>
  chain.reader.request({ method: "eth_getBlockByNumber", params: [numberToHex(number), false] });

export const headerAt = async (chain: TestChain, number: bigint): Promise<BlockHeader> =>
  readBlockHeader(await rawBlock(chain, number));

/** The node's proof at a block. */
export async function proofAt(chain: TestChain, number: bigint, address: Hex, slots: Hex[] = []): Promise<NodeProof> {
  const answer = await chain.reader.request({
    method: "eth_getProof",
    params: [address, slots, numberToHex(number)],
  });
  return structuredClone(answer) as unknown as NodeProof;
}

/** Where Solidity keeps the value of a mapping that lies at slot `base`. */
export const mappingSlot = (type: "address" | "uint256", key: Hex | bigint, base: bigint): Hex =>
  keccak256(encodeAbiParameters([{ type }, { type: "uint256" }], [key as never, base]));

/** The bytes with one bit of one of them turned over; `at` is taken modulo their length. */
export function flipped(bytes: Hex, at: number, bit: number): Hex {
  const index = at % ((bytes.length - 2) / 2);
  const start = 2 + 2 * index;
  const changed = Number.parseInt(bytes.slice(start, start + 2), 16) ^ (1 << bit);
  return `0x${bytes.slice(2, start)}${changed.toString(16).padStart(2, "0")}${bytes.slice(start + 2)}`;
}
