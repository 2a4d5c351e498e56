import {
  concatHex,
  encodeFunctionData,
  numberToHex,
  parseSignature,
  signatureToCompactSignature,
  size,
  zeroHash,
} from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Checkpoint } from "./checkpoint.ts";
import { encodeInteroperable, type InteroperableAddress } from "./interoperable.ts";
import { gasLimitAttribute, type Message } from "./message.ts";
import { byAccount, type QuorumSet, toContractSet } from "./quorum.ts";

/** A validator's signature over a checkpoint, 65 bytes. */
export type CheckpointSignature = { readonly signer: Hex; readonly signature: Hex };

export type Delivery = {
  readonly checkpoint: Checkpoint;
  readonly set: QuorumSet;
  /** One a signer, in any order, only those needed: each is recovered on chain. */
  readonly signatures: readonly CheckpointSignature[];
  readonly firstNonce: bigint;
  readonly messages: readonly Message[];
  /** Ids of the messages that follow, up to the checkpoint's nonce. */
  readonly laterIds: readonly Hex[];
};

/** Calldata of the destination's `deliver`. */
export function encodeDeliver(delivery: Delivery): Hex {
  const { checkpoint, set, signatures, firstNonce, messages, laterIds } = delivery;
  return encodeFunctionData({
    abi: gatewayAbi,
    functionName: "deliver",
    args: [
      { ...checkpoint, originChainId: BigInt(checkpoint.originChainId) },
      toContractSet(set),
      signatures.toSorted((a, b) => byAccount(a.signer, b.signer)).map(({ signature }) => compact(signature)),
      firstNonce,
      packMessages(messages),
      laterIds,
    ],
  });
}

/** Calldata of the destination's `retry` for a message that failed. */
export function encodeRetry(
  origin: { readonly chainId: number; readonly gateway: Hex },
  nonce: bigint,
  message: Message,
): Hex {
  return encodeFunctionData({
    abi: gatewayAbi,
    functionName: "retry",
    args: [BigInt(origin.chainId), origin.gateway, nonce, packMessages([message])],
  });
}

/** Calldata of the destination's `defer`: has messages recorded as failed instead of executed. */
export function encodeDefer(originChainId: number, ids: readonly Hex[]): Hex {
  return encodeFunctionData({ abi: gatewayAbi, functionName: "defer", args: [BigInt(originChainId), ids] });
}

/** Calldata of the origin's `sendMessage`; without a gas limit the lane's default applies. */
export function encodeSendMessage(recipient: InteroperableAddress, payload: Hex, gasLimit?: bigint): Hex {
  const attributes = gasLimit === undefined ? [] : [gasLimitAttribute(gasLimit)];
  return encodeFunctionData({
    abi: gatewayAbi,
    functionName: "sendMessage",
    args: [encodeInteroperable(recipient), payload, attributes],
  });
}

/** Messages as the gateway reads them, each behind the one before; attributes take a hash more. */
export const packMessages = (messages: readonly Message[]): Hex =>
  concatHex(
    messages.flatMap(({ sender, recipient, gasLimit, attributesHash, payload }) => [
      sender,
      recipient,
      numberToHex(gasLimit, { size: 4 }),
      numberToHex(size(payload), { size: 3 }),
      ...(attributesHash === zeroHash ? (["0x00"] as const) : (["0x01", attributesHash] as const)),
      payload,
    ]),
  );

/** 65 bytes to the two words of ERC-2098 that the gateway takes. */
export function compact(signature: Hex) {
  const { r, yParityAndS } = signatureToCompactSignature(parseSignature(signature));
  return { r, vs: yParityAndS };
}
