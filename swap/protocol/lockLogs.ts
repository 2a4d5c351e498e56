import { decodeEventLog, getAbiItem, toEventSelector } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type AnyLock, idOf, type LockPlace } from "./anyLock.ts";
import { batchId } from "./lockId.ts";
import { merkleRoot } from "./merkle.ts";

/** What a log of the timelock says about locks of any kind; a batch is as many locks as it has entries. */
export type AnyLockLog =
  | { readonly kind: "locked"; readonly locks: readonly { readonly id: Hex; readonly lock: AnyLock }[] }
  | { readonly kind: "claimed"; readonly id: Hex; readonly secret: Hex }
  | { readonly kind: "refunded"; readonly id: Hex };

const names = ["Locked", "ItemLocked", "BatchLocked", "Claimed", "Refunded"] as const;
/** What is left of the ABI for each selector: to look in all of it takes longer than all the rest of decoding. */
const abis = new Map(
  names.map((name) => {
    const event = getAbiItem({ abi: hashedTimelockAbi, name });
    return [toEventSelector(event), [event] as unknown as typeof hashedTimelockAbi] as const;
  }),
);
/** Of the events that are about locks of any kind. */
export const anyLockSelectors: ReadonlySet<Hex> = new Set(abis.keys());

/**
 * Undefined for a log that is about no lock. The caller has checked that the log's address is the contract. An id that is
 * not the hash of the terms beside it was made up by an endpoint: `chain-answer-invalid`.
 */
export function decodeAnyLockLog(log: ChainLog, place: LockPlace): AnyLockLog | undefined {
  const [selector, ...topics] = log.topics;
  const abi = selector && abis.get(selector);
  if (!abi) return undefined;
  const decoded = decode(log, abi, [selector, ...topics]);
  switch (decoded.eventName) {
    case "Locked": {
      const { id, ...terms } = decoded.args;
      return single(log, place, id, { kind: "payment", terms });
    }
    case "ItemLocked": {
      const { id, ...terms } = decoded.args;
      return single(log, place, id, { kind: "item", terms });
    }
    case "BatchLocked":
      return batch(log, place, decoded.args);
    case "Claimed":
      return { kind: "claimed", ...decoded.args };
    case "Refunded":
      return { kind: "refunded", ...decoded.args };
    default:
      return undefined;
  }
}

function decode(log: ChainLog, abi: typeof hashedTimelockAbi, topics: [Hex, ...Hex[]]) {
  try {
    return decodeEventLog({ abi, topics, data: log.data });
  } catch (cause) {
    throw invalid(log, "a log of the timelock was shown that its event cannot have", cause);
  }
}

function single(log: ChainLog, place: LockPlace, id: Hex, lock: AnyLock): AnyLockLog {
  if (idOf(place, lock) !== id) throw invalid(log, "a lock was shown under an id that is not the hash of its terms");
  return { kind: "locked", locks: [{ id, lock }] };
}

type Batch = {
  readonly id: Hex;
  readonly sender: Hex;
  readonly token: Hex;
  readonly tip: bigint;
  readonly root: Hex;
  readonly entries: readonly { recipient: Hex; amount: bigint; hashlock: Hex; timelock: bigint }[];
};

/** The root commits to every entry, so that one check holds for all leaves. */
function batch(log: ChainLog, place: LockPlace, { id, sender, token, tip, root, entries }: Batch): AnyLockLog {
  const locks = entries.map((entry, index) => {
    const lock: AnyLock = { kind: "leaf", terms: { sender, token, tip, ...entry }, root, index };
    return { id: idOf(place, lock), lock };
  });
  const leaves = locks.map((lock) => lock.id);
  if (leaves.length === 0 || merkleRoot(leaves) !== root || batchId(place.chainId, place.contract, root) !== id) {
    throw invalid(log, "a batch was shown under an id or root that is not the hash of its entries");
  }
  return { kind: "locked", locks };
}

const invalid = (log: ChainLog, words: string, cause?: unknown) =>
  new LockstepError("chain-answer-invalid", words, { details: { transaction: log.transactionHash }, cause });
