import { hashTypedData } from "viem";
import type { Hex } from "#core/kernel/codec.ts";

const types = {
  Header: [
    { name: "originChainId", type: "uint256" },
    { name: "generation", type: "uint32" },
    { name: "number", type: "uint64" },
    { name: "blockHash", type: "bytes32" },
    { name: "epoch", type: "uint64" },
  ],
} as const;

/** The state oracle that a header is attested for. */
export type Oracle = { readonly chainId: number; readonly address: Hex };

/** What validators sign of a block: its hash, in the lane's generation and under the epoch the oracle's gateway knows. */
export type Header = {
  readonly originChainId: number;
  readonly generation: number;
  readonly number: bigint;
  readonly blockHash: Hex;
  readonly epoch: bigint;
};

/** A header as EIP-712 data, ready for a wallet's `signTypedData`. */
export function headerTypedData(oracle: Oracle, header: Header) {
  return {
    domain: {
      name: "Lockstep State Oracle",
      version: "1",
      chainId: oracle.chainId,
      verifyingContract: oracle.address,
    },
    types,
    primaryType: "Header" as const,
    message: { ...header, originChainId: BigInt(header.originChainId) },
  };
}

/** The EIP-712 digest of a header, as the oracle's `headerDigest` answers it. */
export function headerDigest(oracle: Oracle, header: Header): Hex {
  return hashTypedData(headerTypedData(oracle, header));
}
