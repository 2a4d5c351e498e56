import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { keccak256, numberToHex, toHex, zeroHash } from "viem";
import type { Block, Chain, ChainLog } from "#core/chain/chain.ts";
import { createIndexer } from "#core/indexer/createIndexer.ts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { forEachDatabase, quietLog, withDatabase } from "../../support/databases.ts";
import { until } from "../../support/until.ts";
import { createHistory, openIndexed, recordedWords } from "./support.ts";

const address: Hex = "0x00000000000000000000000000000000000000Aa";
const finalityBlocks = 6n;

type FakeBlock = { readonly block: Block; readonly words: readonly number[] };

/** Replace up to `depth` blocks by new ones, each with so many logs. */
type Turn = { readonly depth: number; readonly blocks: readonly number[]; readonly reads: number };

/** A chain in memory whose next turn comes after a given number of reads, also in the middle of a step. */
function createFakeChain(turns: readonly Turn[]) {
  const left = [...turns];
  const blocks: FakeBlock[] = [];
  let salt = 0;
  let highest = 0;
  let reads = 0;

  const add = (logs: number) => {
    const parentHash = blocks.at(-1)?.block.hash ?? zeroHash;
    const number = BigInt(blocks.length);
    const hash = keccak256(toHex(`${number} ${parentHash} ${salt++}`));
    const words = Array.from({ length: logs }, (_, index) => salt * 10 + index);
    blocks.push({ block: { number, hash, parentHash, timestamp: number }, words });
    highest = Math.max(highest, blocks.length);
  };
  const turn = ({ depth, blocks: added }: Turn) => {
    const lowest = highest - Number(finalityBlocks);
    blocks.length = Math.max(blocks.length - depth, lowest, 1);
    for (const logs of added) add(logs);
  };
  const read = async <T>(answer: () => T): Promise<T> => {
    await Promise.resolve();
    reads++;
    const next = left[0];
    if (next !== undefined && reads > next.reads) {
      left.shift();
      reads = 0;
      turn(next);
    }
    return answer();
  };
  const logsOf = ({ block, words }: FakeBlock): ChainLog[] =>
    words.map((word, logIndex) => ({
      address,
      topics: [numberToHex(word, { size: 32 })],
      data: "0x",
      blockNumber: block.number,
      blockHash: block.hash,
      transactionHash: keccak256(numberToHex(word)),
      logIndex,
    }));
  const refuse = () => Promise.reject(new Error("not part of this chain"));
  add(0);
  const chain: Chain = {
    name: "alpha",
    chainId: 1,
    genesis: async () => blocks[0]?.block.hash ?? zeroHash,
    block: (at) =>
      read(() => {
        const head = BigInt(blocks.length - 1);
        const number = at === "latest" ? head : at === "final" ? head - finalityBlocks : at;
        return blocks[Number(number)]?.block;
      }),
    logs: ({ fromBlock, toBlock }) => read(() => blocks.slice(Number(fromBlock), Number(toBlock) + 1).flatMap(logsOf)),
    receipt: refuse,
    call: refuse,
    account: refuse,
    fees: refuse,
    send: refuse,
  };
  const words = () =>
    blocks
      .flatMap(logsOf)
      .map((log) => `${log.blockNumber} ${log.blockHash} ${BigInt(log.topics[0] ?? "0x0")}`)
      .sort();
  return { chain, words, done: () => left.length === 0, head: () => blocks.at(-1)?.block };
}

const turnOf: fc.Arbitrary<Turn> = fc.record({
  depth: fc.nat(6),
  blocks: fc.array(fc.nat(2), { minLength: 1, maxLength: 50 }),
  reads: fc.nat(25),
});

await forEachDatabase("reorganisations", (backend) => {
  it("whenever they come, the observer's story is consistent and ends with what the chain says", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(turnOf, { minLength: 1, maxLength: 8 }), fc.nat(20), async (turns, logWindow) => {
        await withDatabase({ name: backend.name, open: () => openIndexed(backend) }, async (database) => {
          const fake = createFakeChain([...turns, { depth: 0, blocks: [1], reads: 5 }]);
          const history = createHistory(() => [address]);
          const indexer = createIndexer({
            chain: fake.chain,
            config: { pollMs: 1, startBlock: 0, logWindow: logWindow + 1, recheckMs: 5 },
            db: database.db,
            observers: [history],
            log: quietLog,
            clock: systemClock,
          });
          indexer.start();
          try {
            const ready = () =>
              indexer.status().state === "halted" ||
              (fake.done() && indexer.status().indexed === fake.head()?.number && indexer.status().error === undefined);
            await until(ready, "the indexer has caught up");
            await until(async () => (await recordedWords(database)).length === fake.words().length, "all is told");
            assert.equal(indexer.status().state, "running");
            assert.deepEqual(history.violations, []);
            assert.deepEqual((await recordedWords(database)).sort(), fake.words());
          } finally {
            await indexer.stop();
          }
        });
      }),
      { numRuns: backend.name === "postgres" ? 5 : 12 },
    );
  });
});
