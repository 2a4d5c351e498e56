import { encodeAbiParameters, numberToHex } from "viem";
import type { StateProof } from "#core/chain/verifyState.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { keccak256 } from "#core/kernel/keccak.ts";

/** Where a gateway keeps its outgoing lanes (ERC-7201, `lockstep.storage.Gateway`); part of the interface. */
const laneStorage = "0x996d8636f86ce8c65931c72168b7f56f0b6190df19af5cb070bc228a51ce2900";

/** The slots of a gateway's outgoing lane: the accumulator, and the word whose lowest 64 bits are the nonce. */
export function headSlots(destinationChainId: number): readonly [accumulator: Hex, state: Hex] {
  const types = [{ type: "uint256" }, { type: "bytes32" }] as const;
  const slot = keccak256(encodeAbiParameters(types, [BigInt(destinationChainId), laneStorage]));
  return [slot, numberToHex(BigInt(slot) + 1n, { size: 32 })];
}

/** A lane's head as a proof of its two slots shows it; nonce 0 before the first message. */
export type ProvenHead = { readonly nonce: bigint; readonly accumulator: Hex };

export function provenHead({ storage: [accumulator, state] }: StateProof): ProvenHead {
  if (!accumulator || !state) throw new RangeError("a head has two slots");
  return { accumulator: accumulator.value, nonce: BigInt.asUintN(64, BigInt(state.value)) };
}
