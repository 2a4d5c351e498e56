import { encodeAbiParameters, parseAbiParameters, stringToHex } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { keccak256 } from "#core/kernel/keccak.ts";

const lockType =
  "Lock(uint256 chainId,address timelockContract,address sender,address recipient,address token,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)";
const lockTypehash = keccak256(stringToHex(lockType));
const lockParameters = parseAbiParameters(
  "bytes32 typehash, uint256 chainId, address timelockContract, address sender, address recipient, address token, uint256 amount, bytes32 hashlock, uint64 timelock, uint96 tip",
);

const leafType = `BatchLeaf${lockType.slice("Lock".length, -1)},uint256 index)`;
const leafTypehash = keccak256(stringToHex(leafType));
const leafParameters = [...lockParameters, { type: "uint256", name: "index" }] as const;

const itemTypehash = keccak256(
  stringToHex(
    "ItemLock(uint256 chainId,address timelockContract,address sender,address recipient,address token,uint256 tokenId,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)",
  ),
);
const itemParameters = parseAbiParameters(
  "bytes32 typehash, uint256 chainId, address timelockContract, address sender, address recipient, address token, uint256 tokenId, uint256 amount, bytes32 hashlock, uint64 timelock, uint96 tip",
);

const batchTypehash = keccak256(stringToHex("Batch(uint256 chainId,address timelockContract,bytes32 root)"));
const batchParameters = parseAbiParameters("bytes32 typehash, uint256 chainId, address timelockContract, bytes32 root");

/** The terms of a lock of `contracts/HashedTimelock.sol`. */
export type LockTerms = {
  readonly sender: Hex;
  readonly recipient: Hex;
  /** An ERC-20, or the zero address for the native coin. */
  readonly token: Hex;
  /** In the token's smallest unit. */
  readonly amount: bigint;
  /** SHA-256 of the 32-byte secret. */
  readonly hashlock: Hex;
  /** Unix seconds; claim before it, refund from it on. */
  readonly timelock: bigint;
  /** Wei on top of the amount, for whoever sends the claim or the refund. */
  readonly tip: bigint;
};

/** The terms of a lock of an ERC-721 (amount zero) or of so many of an ERC-1155. */
export type ItemTerms = LockTerms & { readonly tokenId: bigint };

/** The id of a lock, and of the leg that it is: the hash of its terms on one chain and contract. */
export function lockId(chainId: number | bigint, contract: Hex, terms: LockTerms): Hex {
  const { sender, recipient, token, amount, hashlock, timelock, tip } = terms;
  const head = [lockTypehash, BigInt(chainId), contract] as const;
  return keccak256(
    encodeAbiParameters(lockParameters, [...head, sender, recipient, token, amount, hashlock, timelock, tip]),
  );
}

/** The id of a lock of an ERC-721 or ERC-1155 token. */
export function itemLockId(chainId: number | bigint, contract: Hex, terms: ItemTerms): Hex {
  const { sender, recipient, token, tokenId, amount, hashlock, timelock, tip } = terms;
  const head = [itemTypehash, BigInt(chainId), contract] as const;
  return keccak256(
    encodeAbiParameters(itemParameters, [...head, sender, recipient, token, tokenId, amount, hashlock, timelock, tip]),
  );
}

/** The id of one lock of a batch, which is a leaf of the batch's Merkle tree; `index` is its place there. */
export function leafId(chainId: number | bigint, contract: Hex, terms: LockTerms, index: number): Hex {
  const { sender, recipient, token, amount, hashlock, timelock, tip } = terms;
  const head = [leafTypehash, BigInt(chainId), contract] as const;
  const tail = [sender, recipient, token, amount, hashlock, timelock, tip, BigInt(index)] as const;
  return keccak256(encodeAbiParameters(leafParameters, [...head, ...tail]));
}

/** The id of the batch whose leaves have this root. */
export function batchId(chainId: number | bigint, contract: Hex, root: Hex): Hex {
  return keccak256(encodeAbiParameters(batchParameters, [batchTypehash, BigInt(chainId), contract, root]));
}
