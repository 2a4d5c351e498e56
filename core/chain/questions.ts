import { numberToHex } from "viem";
import { z } from "zod";
import type { Hex } from "../kernel/codec.ts";
import type { Block, BlockTransaction, CallRequest, ChainLog, LogFilter, Receipt } from "./chain.ts";
import type { Question } from "./endpoint.ts";
import { feeHistoryBlocks, feePercentiles } from "./estimate.ts";
import {
  quantity,
  wireBlock,
  wireCount,
  wireFeeHistory,
  wireHash,
  wireHex,
  wireLog,
  wireReceipt,
  wireTransactions,
} from "./wire.ts";

export type BlockTag = "latest" | "safe" | "finalized";

const block = wireBlock.nullable().transform((found): Block | undefined => {
  if (found === null) return undefined;
  const { logsBloom, ...rest } = found;
  return logsBloom === undefined ? rest : { ...rest, logsBloom };
});
const logs = z.array(wireLog).transform((found) => found.map(({ removed: _, ...log }): ChainLog => log).sort(byPlace));
const receipt = wireReceipt.nullable().transform((found): Receipt | undefined => found ?? undefined);
const transactions = wireTransactions
  .nullable()
  .transform((found): BlockTransaction[] | undefined => found?.transactions);

export const blockAt = (at: bigint | BlockTag): Question<Block | undefined> => ({
  method: "eth_getBlockByNumber",
  params: [tag(at), false],
  schema: block,
  fits: (found) => found === undefined || typeof at !== "bigint" || found.number === at,
  ...(at === "latest" && { headOf: (found: Block | undefined) => found?.number }),
});

export function logsOf({ fromBlock, toBlock, addresses, events }: LogFilter): Question<ChainLog[]> {
  const wanted = new Set(addresses.map((address) => address.toLowerCase()));
  const range = { fromBlock: numberToHex(fromBlock), toBlock: numberToHex(toBlock) };
  return {
    method: "eth_getLogs",
    params: [{ ...range, address: addresses, ...(events && { topics: [events] }) }],
    schema: logs,
    fits: (found) =>
      found.every(
        ({ blockNumber, address, topics }) =>
          blockNumber >= fromBlock &&
          blockNumber <= toBlock &&
          wanted.has(address.toLowerCase()) &&
          (events === undefined || (topics[0] !== undefined && events.includes(topics[0]))),
      ),
  };
}

export const receiptOf = (transactionHash: Hex): Question<Receipt | undefined> => ({
  method: "eth_getTransactionReceipt",
  params: [transactionHash],
  schema: receipt,
  fits: (found) => found === undefined || found.transactionHash === transactionHash.toLowerCase(),
});

export const transactionsOf = (height: bigint): Question<BlockTransaction[] | undefined> => ({
  method: "eth_getBlockByNumber",
  params: [tag(height), true],
  schema: transactions,
});

export const callAt = (request: CallRequest, at: bigint | "pending" | "latest"): Question<Hex> => ({
  method: "eth_call",
  params: [wireCall(request), tag(at), ...wireOverrides(request)],
  schema: wireHex,
});

export const storageAt = (address: Hex, slot: Hex, at: bigint | "latest"): Question<Hex> => ({
  method: "eth_getStorageAt",
  params: [address, slot, tag(at)],
  schema: wireHash,
});

/** Balance, number of transactions and code of an account. */
export function accountAt(address: Hex, at: bigint | "pending" | "latest") {
  const params = [address, tag(at)];
  return {
    balance: { method: "eth_getBalance", params, schema: quantity },
    nonce: { method: "eth_getTransactionCount", params, schema: wireCount },
    code: { method: "eth_getCode", params, schema: wireHex },
  };
}

export const feeHistory: Question<z.output<typeof wireFeeHistory>> = {
  method: "eth_feeHistory",
  params: [numberToHex(feeHistoryBlocks), "latest", feePercentiles],
  schema: wireFeeHistory,
};

export const sendRaw = (signed: Hex, expected: Hex): Question<Hex> => ({
  method: "eth_sendRawTransaction",
  params: [signed],
  schema: wireHash,
  // A lie about the hash would be followed for ever.
  fits: (hash) => hash === expected,
});

const tag = (at: bigint | string) => (typeof at === "bigint" ? numberToHex(at) : at);

function byPlace(a: ChainLog, b: ChainLog): number {
  if (a.blockNumber === b.blockNumber) return a.logIndex - b.logIndex;
  return a.blockNumber < b.blockNumber ? -1 : 1;
}

function wireOverrides({ overrides }: CallRequest): unknown[] {
  if (overrides === undefined) return [];
  const entries = Object.entries(overrides).map(([address, stateDiff]) => [address, { stateDiff }]);
  return [Object.fromEntries(entries)];
}

function wireCall({ from, to, data, value, gas }: CallRequest): Record<string, Hex> {
  return {
    to,
    ...(from === undefined ? {} : { from }),
    ...(data === undefined ? {} : { data }),
    ...(value === undefined ? {} : { value: numberToHex(value) }),
    ...(gas === undefined ? {} : { gas: numberToHex(gas) }),
  };
}
