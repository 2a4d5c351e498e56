import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, it } from "node:test";
import fc from "fast-check";
import { getAbiItem, numberToHex, padHex, toEventSelector } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Chain, ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { nextAccumulator } from "#relay/protocol/message.ts";
import type { AgreedBlock, AgreedChain } from "#relay/validator/agreement.ts";
import { createFollower } from "#relay/validator/follower.ts";
import { emptyHead } from "#relay/validator/links.ts";
import { createSigningStore } from "#relay/validator/signingStore.ts";
import { quietLog } from "../../support/databases.ts";
import { addressOf, hashOf } from "../samples.ts";

const appended = toEventSelector(getAbiItem({ abi: gatewayAbi, name: "LaneAppended" }));
const lane = { origin: "1-0xaa", destination: "2-0xbb", destinationChainId: 2 };
const word = (value: bigint | number) => padHex(numberToHex(value), { size: 32 });

/** The messages of each final block, counted from block 1, and what the lane is after them. */
function openChain() {
  const links = [{ ...emptyHead, block: 0n }];
  let height = 0n;
  const head = () => links.at(-1) ?? assert.fail();
  const hashAt = (block: bigint): Hex => hashOf(1_000_000 + Number(block));
  const endpoint = {
    logs: async ({ fromBlock, toBlock }: { fromBlock: bigint; toBlock: bigint }): Promise<ChainLog[]> =>
      links
        .filter(({ nonce, block }) => nonce > 0n && block >= fromBlock && block <= toBlock)
        .map(({ nonce }) => ({ topics: [appended, word(2), word(nonce), hashOf(Number(nonce))] }) as never),
  } as unknown as Chain;
  const chain = {
    endpoints: [endpoint],
    async look(known: Hex | undefined): Promise<AgreedBlock | "known"> {
      const { nonce, accumulator } = head();
      if (hashAt(height) === known) return "known";
      return { height, hash: hashAt(height), heads: new Map([[2, { nonce, accumulator, generation: 0 }]]) };
    },
    hashAt: async (block: bigint) => hashAt(block),
  } as unknown as AgreedChain;
  return {
    chain,
    links,
    head,
    height: () => height,
    mine(messages: number) {
      height += 1n;
      for (let index = 0; index < messages; index++) {
        const { nonce, accumulator } = head();
        const id = hashOf(Number(nonce) + 1);
        links.push({ nonce: nonce + 1n, accumulator: nextAccumulator(accumulator, id), block: height });
      }
    },
  };
}

const folder = mkdtempSync(join(tmpdir(), "lockstep-killed-"));
after(() => rmSync(folder, { recursive: true }));
let files = 0;

/** What a process that is killed now leaves of its memory: its files as they are, none of them closed. */
function leftOf(file: string): string {
  const copy = join(folder, `${++files}.sqlite`);
  for (const suffix of ["", "-wal"]) if (existsSync(file + suffix)) copyFileSync(file + suffix, copy + suffix);
  return copy;
}

it("a validator that is killed at any time misses no message, and signs what it signed", async () => {
  let forgotten = 0;
  const step = fc.record({
    messages: fc.constantFrom(0, 0, 0, 1, 3),
    blocks: fc.integer({ min: 0, max: 3 }),
    ms: fc.constantFrom(0, 1_000, 6_000),
    signs: fc.boolean(),
    end: fc.constantFrom("none", "none", "kill", "close"),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 25 }), async (steps) => {
      const { chain, links, head, height, mine } = openChain();
      const signed = new Map<bigint, Hex>();
      let now = 0;
      let file = join(folder, `${++files}.sqlite`);
      const open = () => {
        const store = createSigningStore(file);
        store.assertSameChain(lane.origin, hashOf(0));
        const follower = createFollower({
          ...{ chain, origin: lane.origin, gateway: addressOf(1), lanes: [lane], startBlock: 1n, logWindow: 4n, store },
          generationOf: async () => 0,
          ...{ clock: { now: () => now, sleep: async () => undefined }, log: quietLog },
        });
        return { store, follower };
      };
      let { store, follower } = open();
      try {
        for (const { messages, blocks, ms, signs, end } of steps) {
          for (let block = 0; block < blocks; block++) mine(messages);
          now += ms;
          assert.equal(await follower.look(), true);
          assert.equal(store.cursor(lane.origin)?.height, height());
          for (const { nonce, accumulator } of links.slice(1))
            assert.equal(store.accumulatorAt(lane, nonce), accumulator, `message ${nonce}`);
          const { nonce, accumulator } = head();
          if (signs && nonce > 0n) {
            signed.set(nonce, store.claim(lane, 0, { nonce, accumulator: store.accumulatorAt(lane, nonce)! }));
            assert.equal(signed.get(nonce), accumulator);
          }
          if (end === "none") continue;
          const before = store.cursor(lane.origin)?.height;
          const left = end === "kill" ? leftOf(file) : file;
          store.close();
          file = left;
          ({ store, follower } = open());
          const kept = store.cursor(lane.origin)?.height;
          if (end === "close") assert.equal(kept, before);
          if (kept !== before) forgotten += 1;
          for (const [at, accumulatorThen] of signed)
            assert.equal(store.claim(lane, 0, { nonce: at, accumulator: hashOf(0) }), accumulatorThen);
        }
      } finally {
        store.close();
      }
    }),
    { numRuns: 60 },
  );
  assert.ok(forgotten > 0, "no kill came after a block that was only passed");
});
