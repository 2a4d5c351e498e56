import { encodeAbiParameters, keccak256, parseAbiParameters, stringToHex } from "viem";
import type { Hex } from "#core/kernel/codec.ts";

const lockTypehash = keccak256(
  stringToHex(
    "Lock(uint256 chainId,address timelockContract,address sender,address recipient,address token,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)",
  ),
);

const lockParameters = parseAbiParameters(
  "bytes32 typehash, uint256 chainId, address timelockContract, address sender, address recipient, address token, uint256 amount, bytes32 hashlock, uint64 timelock, uint96 tip",
);

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

/** The id of a lock, and of the leg that it is: the hash of its terms on one chain and contract. */
export function lockId(chainId: number | bigint, contract: Hex, terms: LockTerms): Hex {
  const { sender, recipient, token, amount, hashlock, timelock, tip } = terms;
  return keccak256(
    encodeAbiParameters(lockParameters, [
      lockTypehash,
      BigInt(chainId),
      contract,
      sender,
      recipient,
      token,
      amount,
      hashlock,
      timelock,
      tip,
    ]),
  );
}
