import { decodeEventLog, getAbiItem, toEventSelector } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { ItemTerms, LockTerms } from "./lockId.ts";

/** What a log of the timelock contract says about a lock; `id` is the lock's. */
export type TimelockLog =
  | { readonly kind: "locked"; readonly id: Hex; readonly terms: LockTerms | ItemTerms }
  | { readonly kind: "claimed"; readonly id: Hex; readonly secret: Hex }
  | { readonly kind: "refunded"; readonly id: Hex };

const names = ["Locked", "ItemLocked", "Claimed", "Refunded"] as const;
/** Of the events that are about locks. */
export const lockSelectors: ReadonlySet<Hex> = new Set(
  names.map((name) => toEventSelector(getAbiItem({ abi: hashedTimelockAbi, name }))),
);

/** Undefined for a log that is about no lock. The caller has checked that the log's address is the contract. */
export function decodeTimelockLog({ topics: [selector, ...args], data }: ChainLog): TimelockLog | undefined {
  if (!selector || !lockSelectors.has(selector)) return undefined;
  const decoded = decodeEventLog({ abi: hashedTimelockAbi, topics: [selector, ...args], data });
  switch (decoded.eventName) {
    case "Locked":
    case "ItemLocked": {
      const { id, ...terms } = decoded.args;
      return { kind: "locked", id, terms };
    }
    case "Claimed":
      return { kind: "claimed", ...decoded.args };
    case "Refunded":
      return { kind: "refunded", ...decoded.args };
    default:
      return undefined;
  }
}
