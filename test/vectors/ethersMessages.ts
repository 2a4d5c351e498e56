import { AbiCoder, concat, getBytes, keccak256, TypedDataEncoder, toBeHex, ZeroHash } from "ethers";

/** The formulas of messages written once more with ethers, so that viem and the contracts are not judged by themselves. */
const coder = AbiCoder.defaultAbiCoder();

export type MessageVector = {
  originChainId: number;
  originGateway: string;
  destinationChainId: number;
  destinationGateway: string;
  nonce: string;
  sender: string;
  recipient: string;
  gasLimit: string;
  attributes: string[];
  payload: string;
};

export type CheckpointVector = {
  destination: { chainId: number; gateway: string };
  originChainId: number;
  originGateway: string;
  generation: number;
  nonce: string;
  accumulator: string;
  epoch: string;
};

export type SetVector = {
  originChainId: number;
  epoch: string;
  rule: number;
  value: string;
  outOf: string;
  validators: { account: string; weight: string }[];
};

export const attributesHash = (attributes: string[]): string =>
  attributes.length === 0 ? ZeroHash : keccak256(concat(attributes.map((attribute) => keccak256(attribute))));

export const messageId = (vector: MessageVector): string =>
  keccak256(
    coder.encode("uint8 uint256 address uint256 address uint64 address address uint256 bytes32 bytes32".split(" "), [
      1,
      vector.originChainId,
      vector.originGateway,
      vector.destinationChainId,
      vector.destinationGateway,
      vector.nonce,
      vector.sender,
      vector.recipient,
      vector.gasLimit,
      attributesHash(vector.attributes),
      keccak256(vector.payload),
    ]),
  );

export const nextAccumulator = (accumulator: string, id: string): string => keccak256(concat([accumulator, id]));

const domainOf = ({ chainId, gateway }: CheckpointVector["destination"]) => ({
  ...{ name: "Lockstep Gateway", version: "1" },
  ...{ chainId, verifyingContract: gateway },
});

export const checkpointDigest = ({ destination, ...checkpoint }: CheckpointVector): string =>
  TypedDataEncoder.hash(
    domainOf(destination),
    {
      Checkpoint: [
        { name: "originChainId", type: "uint256" },
        { name: "originGateway", type: "address" },
        { name: "generation", type: "uint32" },
        { name: "nonce", type: "uint64" },
        { name: "accumulator", type: "bytes32" },
        { name: "epoch", type: "uint64" },
      ],
    },
    checkpoint,
  );

export type RotationVector = {
  destination: { chainId: number; gateway: string };
  originChainId: number;
  oldEpoch: string;
  newSetHash: string;
};

export const rotationDigest = ({ destination, ...rotation }: RotationVector): string =>
  TypedDataEncoder.hash(
    domainOf(destination),
    {
      Rotation: [
        { name: "originChainId", type: "uint256" },
        { name: "oldEpoch", type: "uint64" },
        { name: "newEpoch", type: "uint64" },
        { name: "newSetHash", type: "bytes32" },
      ],
    },
    { ...rotation, newEpoch: BigInt(rotation.oldEpoch) + 1n },
  );

export const setHash = ({ originChainId, epoch, rule, value, outOf, validators }: SetVector): string => {
  const words = validators.map(({ account, weight }) => concat([account, toBeHex(weight, 12)]));
  const threshold = concat([toBeHex(rule, 2), toBeHex(value, 15), toBeHex(outOf, 15)]);
  return keccak256(
    coder.encode(["uint256", "uint64", "tuple(bytes32[],bytes32)"], [originChainId, epoch, [words, threshold]]),
  );
};

export const interoperable = (chainId: number, address: string): string => {
  const reference = getBytes(toBeHex(chainId));
  return concat(["0x00010000", new Uint8Array([reference.length]), reference, "0x14", address]);
};
