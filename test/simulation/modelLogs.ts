import { encodeAbiParameters, encodeEventTopics } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { Block, ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Effect } from "./modelContract.ts";

export const timelockContract: Hex = `0x${"c0".repeat(20)}`;

const lockedTypes = ["address", "uint256", "bytes32", "uint64", "uint96"].map((type) => ({ type }));

/** What the timelock contract logs about a transaction that succeeded. */
export function logsOfEffect(block: Block, transactionHash: Hex, effect: Effect, logIndex: number): ChainLog[] {
  const log = encodedLog(effect);
  if (!log) return [];
  const place = { address: timelockContract, blockNumber: block.number, blockHash: block.hash };
  return [{ ...place, transactionHash, logIndex, ...log }];
}

const encoded = new WeakMap<Effect, { topics: Hex[]; data: Hex }>();

function encodedLog(effect: Effect): { topics: Hex[]; data: Hex } | undefined {
  const known = encoded.get(effect);
  if (known) return known;
  const made = encodeLog(effect);
  if (made) encoded.set(effect, made);
  return made;
}

function encodeLog(effect: Effect): { topics: Hex[]; data: Hex } | undefined {
  const topicsOf = (eventName: "Locked" | "Claimed" | "Refunded", args: object) =>
    encodeEventTopics({ abi: hashedTimelockAbi, eventName, args } as never) as Hex[];
  switch (effect.kind) {
    case "lock": {
      const { sender, recipient, token, amount, hashlock, timelock, tip } = effect.terms;
      const data = encodeAbiParameters(lockedTypes, [token, amount, hashlock, timelock, tip]);
      return { topics: topicsOf("Locked", { id: effect.id, sender, recipient }), data };
    }
    case "claim":
      return { topics: topicsOf("Claimed", { id: effect.id }), data: effect.secret };
    case "refund":
    case "refundEarly":
      return { topics: topicsOf("Refunded", { id: effect.id }), data: "0x" };
    default:
      return undefined;
  }
}
