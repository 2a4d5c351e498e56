import { keccak256, numberToHex, toHex, zeroHash } from "viem";
import type { Block, Chain, ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { address } from "./modelChain.ts";

const hashOf = (number: bigint): Hex => (number < 0n ? zeroHash : keccak256(toHex(`block ${number}`)));

/** A chain that makes up its blocks when it is asked for them, with one log in every `logEvery`-th. */
export function createLongChain(options: { head: bigint; logEvery: bigint; finalityBlocks: bigint; widest: bigint }) {
  const { head, logEvery, finalityBlocks, widest } = options;
  const block = (number: bigint): Block => ({
    ...{ number, hash: hashOf(number), parentHash: hashOf(number - 1n), timestamp: number },
  });
  const logAt = (number: bigint): ChainLog => ({
    ...{ address, topics: [numberToHex(number, { size: 32 })], data: "0x", logIndex: 0 },
    ...{ blockNumber: number, blockHash: hashOf(number), transactionHash: keccak256(numberToHex(number)) },
  });
  let requests = 0;
  let refusals = 0;
  const refuse = () => Promise.reject(new Error("not part of this chain"));
  const chain: Chain = {
    ...{ name: "alpha", chainId: 1, receipt: refuse, call: refuse, account: refuse, fees: refuse, send: refuse },
    genesis: async () => hashOf(0n),
    block: async (at) => {
      requests += 1;
      const number = at === "latest" ? head : at === "final" ? head - finalityBlocks : at;
      return number > head ? undefined : block(number);
    },
    logs: async ({ fromBlock, toBlock }) => {
      requests += 1;
      if (toBlock - fromBlock + 1n > widest) {
        refusals += 1;
        throw new LockstepError("chain-request-refused", `alpha refused eth_getLogs: maximum block range: ${widest}`);
      }
      const found: ChainLog[] = [];
      const first = ((fromBlock + logEvery - 1n) / logEvery) * logEvery;
      for (let number = first; number <= toBlock; number += logEvery) found.push(logAt(number));
      return found;
    },
  };
  return { chain, requests: () => requests, refusals: () => refusals };
}
