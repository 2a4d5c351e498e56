import { hashTypedData } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { type Destination, gatewayDomain } from "./checkpoint.ts";

const types = {
  Rotation: [
    { name: "originChainId", type: "uint256" },
    { name: "oldEpoch", type: "uint64" },
    { name: "newEpoch", type: "uint64" },
    { name: "newSetHash", type: "bytes32" },
  ],
} as const;

/** What validators of the newest epoch sign to hand over to the next set. */
export type Rotation = {
  readonly originChainId: number;
  readonly oldEpoch: bigint;
  /** `validatorSetHash` of the new set under the next epoch. */
  readonly newSetHash: Hex;
};

/** The EIP-712 digest of a rotation, as the destination's `rotationDigest` answers it. */
export function rotationDigest(destination: Destination, rotation: Rotation): Hex {
  return hashTypedData({
    domain: gatewayDomain(destination),
    types,
    primaryType: "Rotation",
    message: { ...rotation, originChainId: BigInt(rotation.originChainId), newEpoch: rotation.oldEpoch + 1n },
  });
}
