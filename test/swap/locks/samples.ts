import { encodeAbiParameters, encodeEventTopics, getAbiItem, zeroAddress } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { ChainLog } from "#core/chain/chain.ts";
import type { IndexedBlock } from "#core/indexer/observer.ts";
import { checksummed, type Hex } from "#core/kernel/codec.ts";
import { type AnyLock, idOf } from "#swap/protocol/anyLock.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { batchId, type ItemTerms, type LockTerms } from "#swap/protocol/lockId.ts";
import { merkleRoot } from "#swap/protocol/merkle.ts";
import { hexOf, secret } from "#test/swap/samples.ts";
import { blockHash } from "#test/swap/support.ts";

/** Where the chains of `swapWorld` have their locks. */
export const placeOf = (chain: string) => ({ chainId: chain === "alpha" ? 1 : 2, contract: hexOf("c", 20) });

export const hashlock = hashlockOf(secret);

export const paymentTerms: LockTerms = {
  sender: checksummed(hexOf("a", 20)),
  recipient: checksummed(hexOf("b", 20)),
  token: zeroAddress,
  amount: 5n,
  hashlock,
  timelock: 1_000n,
  tip: 0n,
};
export const itemTerms: ItemTerms = {
  ...paymentTerms,
  token: checksummed(hexOf("d", 20)),
  tokenId: 2n ** 256n - 1n,
  amount: 0n,
};

export const payment = (changes: Partial<LockTerms> = {}): AnyLock => ({
  kind: "payment",
  terms: { ...paymentTerms, ...changes },
});
export const item: AnyLock = { kind: "item", terms: itemTerms };

type RawLog = Pick<ChainLog, "topics" | "data">;

const events = {
  payment: getAbiItem({ abi: hashedTimelockAbi, name: "Locked" }),
  item: getAbiItem({ abi: hashedTimelockAbi, name: "ItemLocked" }),
} as const;

/** The log of a lock of one payment or item. */
export function lockLog(chain: string, lock: AnyLock, id = idOf(placeOf(chain), lock)): RawLog {
  if (lock.kind === "leaf") throw new Error("leaves are locked in batches");
  const event = events[lock.kind];
  const { sender, recipient } = lock.terms;
  const values: Record<string, unknown> = { id, ...lock.terms };
  const inputs = event.inputs.filter((input) => !input.indexed);
  const topics = encodeEventTopics({ abi: [event], args: { id, sender, recipient } } as never) as Hex[];
  return { topics, data: encodeAbiParameters(inputs as never, inputs.map(({ name }) => values[name]) as never) };
}

export type Entry = Pick<LockTerms, "recipient" | "amount" | "hashlock" | "timelock">;

/** A batch of native payments and what it is made of. */
export function batchOf(chain: string, entries: readonly Entry[]) {
  const shared = { sender: paymentTerms.sender, token: zeroAddress, tip: 1n };
  const unrooted = entries.map((entry, index) => ({ kind: "leaf", terms: { ...shared, ...entry }, index }) as const);
  const ids = unrooted.map((leaf) => idOf(placeOf(chain), { ...leaf, root: "0x" }));
  const root = merkleRoot(ids);
  const { chainId, contract } = placeOf(chain);
  const id = batchId(chainId, contract, root);
  const event = getAbiItem({ abi: hashedTimelockAbi, name: "BatchLocked" });
  const topics = encodeEventTopics({ abi: [event], args: { id, sender: shared.sender, token: shared.token } }) as Hex[];
  const inputs = event.inputs.filter((input) => !input.indexed);
  const data = encodeAbiParameters(inputs as never, [shared.tip, root, entries] as never);
  return { ids, root, log: { topics, data } };
}

export const claimLog = (id: Hex, shown: Hex = secret): RawLog => ({
  topics: encodeEventTopics({ abi: hashedTimelockAbi, eventName: "Claimed", args: { id } }) as Hex[],
  data: shown,
});

export const refundLog = (id: Hex): RawLog => ({
  topics: encodeEventTopics({ abi: hashedTimelockAbi, eventName: "Refunded", args: { id } }) as Hex[],
  data: "0x",
});

/** A block with logs of the timelock, each in a transaction of its own. */
export function blockOf(number: bigint, logs: readonly RawLog[], branch = "a"): IndexedBlock {
  const hash = blockHash(number, branch);
  return {
    block: { number, hash, parentHash: blockHash(number - 1n, branch), timestamp: 500n },
    logs: logs.map((log, logIndex) => ({
      ...log,
      address: hexOf("c", 20),
      blockNumber: number,
      blockHash: hash,
      transactionHash: `0x${branch.repeat(40)}${number.toString(16).padStart(16, "0")}${String(logIndex).padStart(8, "0")}`,
      logIndex,
    })),
  };
}
