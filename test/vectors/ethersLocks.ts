import { AbiCoder, id, keccak256, sha256 } from "ethers";

/** The formulas of locks written once more with ethers. */
export type LockVector = {
  chainId: number;
  contract: string;
  sender: string;
  recipient: string;
  token: string;
  amount: string;
  hashlock: string;
  timelock: string;
  tip: string;
};

const typehash = id(
  "Lock(uint256 chainId,address timelockContract,address sender,address recipient,address token,uint256 amount,bytes32 hashlock,uint64 timelock,uint96 tip)",
);

export const lockId = (vector: LockVector): string =>
  keccak256(
    AbiCoder.defaultAbiCoder().encode(
      "bytes32 uint256 address address address address uint256 bytes32 uint64 uint96".split(" "),
      [
        typehash,
        vector.chainId,
        vector.contract,
        vector.sender,
        vector.recipient,
        vector.token,
        vector.amount,
        vector.hashlock,
        vector.timelock,
        vector.tip,
      ],
    ),
  );

export const hashlockOf = (secret: string): string => sha256(secret);
