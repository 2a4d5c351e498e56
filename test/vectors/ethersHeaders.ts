import { TypedDataEncoder } from "ethers";

/** The digest of headers written once more with ethers, so that viem and the contract are not judged by themselves. */
export type HeaderVector = {
  oracle: { chainId: number; address: string };
  originChainId: number;
  generation: number;
  number: string;
  blockHash: string;
  epoch: string;
};

export const headerDigest = ({ oracle, ...header }: HeaderVector): string =>
  TypedDataEncoder.hash(
    { name: "Lockstep State Oracle", version: "1", chainId: oracle.chainId, verifyingContract: oracle.address },
    {
      Header: [
        { name: "originChainId", type: "uint256" },
        { name: "generation", type: "uint32" },
        { name: "number", type: "uint64" },
        { name: "blockHash", type: "bytes32" },
        { name: "epoch", type: "uint64" },
      ],
    },
    header,
  );
