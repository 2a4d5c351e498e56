import { encodeFunctionData, parseSignature, signatureToCompactSignature } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { packMessages } from "./calls.ts";
import type { Header } from "./header.ts";
import type { Message } from "./message.ts";
import { byAccount, type QuorumSet, toContractSet } from "./quorum.ts";

/** A header with the signatures of a quorum, one a signer, in any order. */
export type SignedHeader = {
  readonly header: Header;
  /** The block's header in RLP. */
  readonly rlp: Hex;
  readonly set: QuorumSet;
  readonly signatures: readonly { readonly signer: Hex; readonly signature: Hex }[];
};

/** Calldata of a state oracle's `attestHeader`. */
export function encodeAttestHeader({ header, rlp, set, signatures }: SignedHeader): Hex {
  return encodeFunctionData({
    abi: stateOracleAbi,
    functionName: "attestHeader",
    args: [
      { ...header, originChainId: BigInt(header.originChainId) },
      rlp,
      toContractSet(set),
      signatures
        .toSorted((a, b) => byAccount(a.signer, b.signer))
        .map(({ signature }) => {
          const { r, yParityAndS } = signatureToCompactSignature(parseSignature(signature));
          return { r, vs: yParityAndS };
        }),
    ],
  });
}

/** Messages whose lane's accumulator is proven at a block of the origin that the state oracle knows. */
export type ProvenDelivery = {
  readonly originChainId: number;
  readonly blockNumber: bigint;
  /** Nodes of the state trie from its root to the origin's gateway. */
  readonly accountProof: readonly Hex[];
  /** Nodes of the gateway's storage trie from its root to the lane's accumulator. */
  readonly storageProof: readonly Hex[];
  readonly firstNonce: bigint;
  readonly messages: readonly Message[];
  /** Ids of the messages that follow, up to the one whose accumulator is proven. */
  readonly laterIds: readonly Hex[];
};

/** Calldata of the destination's `deliverProven`. */
export function encodeDeliverProven(delivery: ProvenDelivery): Hex {
  const { originChainId, blockNumber, accountProof, storageProof, firstNonce, messages, laterIds } = delivery;
  return encodeFunctionData({
    abi: gatewayAbi,
    functionName: "deliverProven",
    args: [
      ...([
        BigInt(originChainId),
        blockNumber,
        accountProof,
        storageProof,
        firstNonce,
        BigInt(messages.length),
      ] as const),
      packMessages(messages),
      laterIds,
    ],
  });
}
