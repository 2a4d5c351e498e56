import { keccak256, numberToHex, toHex, zeroHash } from "viem";
import type { Block, Chain, ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";

export const address: Hex = "0x00000000000000000000000000000000000000Aa";

/**
 * Replace up to `depth` blocks by new ones, each with so many logs. The next `hides` of them that have logs are left out
 * of that many answers, or all but their first log is.
 */
export type Turn = {
  readonly depth: number;
  readonly blocks: readonly number[];
  /** Reads of the chain until it comes. */
  readonly reads: number;
  readonly hides: number;
  readonly answers: number;
  readonly partly: boolean;
  /** Whoever follows the chain is to be stopped and started when it comes. */
  readonly restart: boolean;
};

type ModelBlock = { readonly block: Block; readonly words: readonly number[] };
type Hidden = { answers: number; readonly partly: boolean };

/** A chain in memory whose next turn comes after a given number of reads, also in the middle of a step. */
export function createModelChain(turns: readonly Turn[], finalityBlocks: number) {
  const left = [...turns];
  const blocks: ModelBlock[] = [];
  const hidden = new Map<Hex, Hidden>();
  let salt = 0;
  let highest = 0;
  let reads = 0;
  let restarts = 0;

  const add = (logs: number): ModelBlock => {
    const parentHash = blocks.at(-1)?.block.hash ?? zeroHash;
    const number = BigInt(blocks.length);
    const hash = keccak256(toHex(`${number} ${parentHash} ${salt++}`));
    const words = Array.from({ length: logs }, (_, index) => salt * 10 + index);
    const added = { block: { number, hash, parentHash, timestamp: number }, words };
    blocks.push(added);
    highest = Math.max(highest, blocks.length);
    return added;
  };
  const come = (turn: Turn) => {
    blocks.length = Math.max(blocks.length - turn.depth, highest - finalityBlocks, 1);
    let hides = turn.hides;
    for (const logs of turn.blocks) {
      const { block, words } = add(logs);
      if (words.length === 0 || hides-- <= 0) continue;
      hidden.set(block.hash, { answers: turn.answers, partly: turn.partly });
    }
    if (turn.restart) restarts += 1;
  };
  const read = async <T>(answer: () => T): Promise<T> => {
    await Promise.resolve();
    reads++;
    const next = left[0];
    if (next !== undefined && reads > next.reads) {
      left.shift();
      reads = 0;
      come(next);
    }
    return answer();
  };
  const logsOf = ({ block, words }: ModelBlock): ChainLog[] =>
    words.map((word, logIndex) => ({
      ...{ address, topics: [numberToHex(word, { size: 32 })], data: "0x", logIndex },
      ...{ blockNumber: block.number, blockHash: block.hash, transactionHash: keccak256(numberToHex(word)) },
    }));
  const shown = (each: ModelBlock): ChainLog[] => {
    const hide = hidden.get(each.block.hash);
    if (hide === undefined || hide.answers === 0) return logsOf(each);
    hide.answers -= 1;
    return hide.partly ? logsOf(each).slice(0, 1) : [];
  };
  const refuse = () => Promise.reject(new Error("not part of this chain"));
  add(0);
  const chain: Chain = {
    ...{ name: "alpha", chainId: 1, receipt: refuse, call: refuse, account: refuse, fees: refuse, send: refuse },
    genesis: async () => blocks[0]?.block.hash ?? zeroHash,
    block: (at) =>
      read(() => {
        const head = BigInt(blocks.length - 1);
        const number = at === "latest" ? head : at === "final" ? head - BigInt(finalityBlocks) : at;
        return blocks[Number(number)]?.block;
      }),
    logs: ({ fromBlock, toBlock }) => read(() => blocks.slice(Number(fromBlock), Number(toBlock) + 1).flatMap(shown)),
  };
  return {
    chain,
    words: () =>
      blocks
        .flatMap(logsOf)
        .map((log) => `${log.blockNumber} ${log.blockHash} ${BigInt(log.topics[0] ?? "0x0")}`)
        .sort(),
    /** What a contract would say of itself at a block: how many logs it has written. */
    countUpTo: (number: bigint) => blocks.slice(0, Number(number) + 1).flatMap(logsOf).length,
    done: () => left.length === 0,
    head: () => blocks.at(-1)?.block,
    restarts: () => restarts,
  };
}
