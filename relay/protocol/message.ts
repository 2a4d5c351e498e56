import { concatHex, numberToHex, toFunctionSelector, zeroHash } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { keccak256 } from "#core/kernel/keccak.ts";
import { words } from "./words.ts";

/** Rises whenever an id is made of something else; the first word of what is hashed. */
const idVersion = 1;

const gasLimitSelector = toFunctionSelector("gasLimit(uint256)");

/** Both ends of a lane. */
export type Route = {
  readonly originChainId: number;
  readonly originGateway: Hex;
  readonly destinationChainId: number;
  readonly destinationGateway: Hex;
};

/** What a delivery brings of a message; its nonce is its position. */
export type Message = {
  readonly sender: Hex;
  readonly recipient: Hex;
  readonly gasLimit: bigint;
  /** `hashAttributes` of what the sender gave. */
  readonly attributesHash: Hex;
  readonly payload: Hex;
};

/** The accumulator of a lane without messages. */
export const emptyAccumulator: Hex = zeroHash;

/** The id of a message, the same on both chains and here. */
export function messageId(route: Route, nonce: bigint, message: Message): Hex {
  return keccak256(
    words(
      ...[idVersion, route.originChainId, route.originGateway, route.destinationChainId, route.destinationGateway],
      ...[nonce, message.sender, message.recipient, message.gasLimit],
      ...[message.attributesHash, keccak256(message.payload)],
    ),
  );
}

/** The accumulator of a lane after one more message. */
export function nextAccumulator(accumulator: Hex, id: Hex): Hex {
  return keccak256(words(accumulator, id));
}

/** Zero without attributes, otherwise the keccak256 over the attributes' keccak256 hashes. */
export function hashAttributes(attributes: readonly Hex[]): Hex {
  return attributes.length === 0 ? zeroHash : keccak256(concatHex(attributes.map((attribute) => keccak256(attribute))));
}

/** The one attribute that the gateway knows: how much gas the recipient gets. */
export function gasLimitAttribute(gasLimit: bigint): Hex {
  return concatHex([gasLimitSelector, numberToHex(gasLimit, { size: 32 })]);
}
