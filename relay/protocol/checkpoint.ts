import { hashTypedData } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { recoverSigner } from "#core/kernel/recover.ts";

const types = {
  Checkpoint: [
    { name: "originChainId", type: "uint256" },
    { name: "originGateway", type: "address" },
    { name: "generation", type: "uint32" },
    { name: "nonce", type: "uint64" },
    { name: "accumulator", type: "bytes32" },
    { name: "epoch", type: "uint64" },
  ],
} as const;

/** The gateway that a checkpoint is for. */
export type Destination = { readonly chainId: number; readonly gateway: Hex };

/** What validators sign: the lane's accumulator at a nonce, under the epoch that the destination knows them by. */
export type Checkpoint = {
  readonly originChainId: number;
  readonly originGateway: Hex;
  readonly generation: number;
  readonly nonce: bigint;
  readonly accumulator: Hex;
  readonly epoch: bigint;
};

/** The EIP-712 domain of whatever validators sign for a gateway. */
export const gatewayDomain = ({ chainId, gateway }: Destination) => ({
  ...{ name: "Lockstep Gateway", version: "1" },
  ...{ chainId, verifyingContract: gateway },
});

/** A checkpoint as EIP-712 data, ready for a wallet's `signTypedData`. */
export function checkpointTypedData(destination: Destination, checkpoint: Checkpoint) {
  return {
    domain: gatewayDomain(destination),
    types,
    primaryType: "Checkpoint" as const,
    message: { ...checkpoint, originChainId: BigInt(checkpoint.originChainId) },
  };
}

/** The EIP-712 digest of a checkpoint, as the destination's `checkpointDigest` answers it. */
export function checkpointDigest(destination: Destination, checkpoint: Checkpoint): Hex {
  return hashTypedData(checkpointTypedData(destination, checkpoint));
}

/**
 * The account whose key made the signature (65 bytes) over the checkpoint. Any well-formed signature recovers to some
 * account, so compare the answer with the one expected. Undefined when the bytes are no canonical
 * signature. Takes about a millisecond.
 */
export function recoverCheckpointSigner(
  destination: Destination,
  checkpoint: Checkpoint,
  signature: Hex,
): Hex | undefined {
  return recoverSigner(checkpointDigest(destination, checkpoint), signature);
}
