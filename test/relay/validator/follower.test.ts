import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { getAbiItem, numberToHex, padHex, toEventSelector } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Chain, ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { nextAccumulator } from "#relay/protocol/message.ts";
import type { AgreedBlock, AgreedChain } from "#relay/validator/agreement.ts";
import { createFollower } from "#relay/validator/follower.ts";
import { emptyHead } from "#relay/validator/links.ts";
import { createSigningStore, type SigningStore } from "#relay/validator/signingStore.ts";
import { quietLog } from "../../support/databases.ts";
import { addressOf, hashOf } from "../samples.ts";

const appended = toEventSelector(getAbiItem({ abi: gatewayAbi, name: "LaneAppended" }));
const lane = { origin: "1-0xaa", destination: "2-0xbb", destinationChainId: 2 };
const word = (value: bigint | number) => padHex(numberToHex(value), { size: 32 });

/** Messages of the lane by block up to `last`, on the branch before `fork` and on another from there on. */
type History = { readonly final: bigint; readonly perBlock: number; readonly fork?: bigint; readonly last?: bigint };

const idAt = ({ fork }: History, nonce: bigint, block: bigint): Hex =>
  hashOf(Number(nonce) + (fork !== undefined && block >= fork ? 500_000 : 0));
const hashAt = ({ fork }: History, block: bigint): Hex =>
  hashOf(Number(block) + (fork !== undefined && block >= fork ? 500_000 : 0));

function* messagesOf(history: History, from = 1n, to = history.final) {
  for (let block = from; block <= to && block <= (history.last ?? to); block++) {
    for (let index = 0; index < history.perBlock; index++) {
      const nonce = (block - 1n) * BigInt(history.perBlock) + BigInt(index) + 1n;
      yield { block, nonce, id: idAt(history, nonce, block) };
    }
  }
}

function headOf(history: History) {
  let { accumulator, nonce } = emptyHead;
  for (const message of messagesOf(history)) {
    accumulator = nextAccumulator(accumulator, message.id);
    nonce = message.nonce;
  }
  return { nonce, accumulator, generation: 0 };
}

describe("following a chain", () => {
  let store: SigningStore;
  let history: History;
  let generation: number | undefined;
  let largestAnswer: number;
  /** Leaves this log out of what endpoints answer. */
  let hidden: { nonce: bigint; endpoint: number } | undefined;
  let down: number | undefined;
  /** A lane that this validator did not follow from the start, with two messages in one block. */
  const late = { origin: lane.origin, destination: "3-0xcc", destinationChainId: 3 };
  const lateIds = [hashOf(900_001), hashOf(900_002)] as const;
  const lateBlock = 5n;
  const lateHead = {
    ...{ nonce: 2n, generation: 0 },
    accumulator: lateIds.reduce((before, id) => nextAccumulator(before, id), emptyHead.accumulator),
  };
  let lanes = [lane];
  beforeEach(() => {
    store = createSigningStore(":memory:");
    store.assertSameChain(lane.origin, hashOf(0));
    history = { final: 10n, perBlock: 2 };
    generation = 0;
    largestAnswer = 0;
    hidden = undefined;
    down = undefined;
    lanes = [lane];
  });
  afterEach(() => store.close());

  const endpoint = (index: number) =>
    ({
      async logs({ fromBlock, toBlock }: { fromBlock: bigint; toBlock: bigint }): Promise<ChainLog[]> {
        if (down === index) throw new Error("down");
        const logs = [...messagesOf(history, fromBlock, toBlock)]
          .filter(({ nonce }) => !(hidden?.endpoint === index && hidden.nonce === nonce))
          .map(({ nonce, id }) => ({ topics: [appended, word(2), word(nonce), id] }) as unknown as ChainLog);
        largestAnswer = Math.max(largestAnswer, logs.length);
        if (lanes.length === 1 || fromBlock > lateBlock || toBlock < lateBlock) return logs;
        const others = lateIds.map((id, index) => ({ topics: [appended, word(3), word(index + 1), id] }));
        return [...logs, ...(others as unknown as ChainLog[])];
      },
    }) as unknown as Chain;
  const headsOf = () => new Map([[2, headOf(history)], ...(lanes.length > 1 ? ([[3, lateHead]] as const) : [])]);
  const chain = {
    endpoints: [endpoint(0), endpoint(1)],
    async look(known: Hex | undefined): Promise<AgreedBlock | "known"> {
      const hash = hashAt(history, history.final);
      return hash === known ? "known" : { height: history.final, hash, heads: headsOf() };
    },
    hashAt: async (height: bigint) => hashAt(history, height),
  } as unknown as AgreedChain;
  let now = 0;
  const follower = (into = store) =>
    createFollower({
      ...{ chain, origin: lane.origin, gateway: addressOf(1), lanes, startBlock: 1n, logWindow: 4n, store: into },
      generationOf: async () => generation ?? Promise.reject(new Error("the destination is down")),
      ...{ clock: { now: () => now, sleep: async () => undefined }, log: quietLog },
    });
  const sign = (nonce: bigint, under = 0) =>
    store.claim(lane, under, { nonce, accumulator: store.accumulatorAt(lane, nonce)! });
  const halted = (error: unknown) => isLockstepError(error, "validator-halted");

  it("catches up in windows of blocks, whatever was missed, and has every accumulator", async () => {
    assert.equal(await follower().look(), true);
    assert.equal(store.head(lane)?.nonce, 20n);
    history = { final: 3_000n, perBlock: 5 };
    store.forget(lane.origin);
    assert.equal(await follower().look(), true);
    assert.equal(store.head(lane)?.accumulator, headOf(history).accumulator);
    assert.equal(largestAnswer, 20);
    assert.ok(store.accumulatorAt(lane, 7_777n));
    assert.equal(await follower().look(), true);
  });

  it("takes logs from another endpoint where one leaves some out or is down", async () => {
    hidden = { endpoint: 0, nonce: 7n };
    assert.equal(await follower().look(), true);
    assert.equal(store.head(lane)?.nonce, 20n);
    history = { ...history, final: 20n };
    down = 0;
    assert.equal(await follower().look(), true);
    assert.equal(store.head(lane)?.nonce, 40n);
  });

  it("records nothing of a history that no endpoint has in full, nor of a killed look", async () => {
    hidden = { endpoint: 0, nonce: 7n };
    down = 1;
    await assert.rejects(follower().look(), /no endpoint of/);
    assert.equal(store.head(lane), undefined);
    store.draft(lane, [{ nonce: 1n, accumulator: hashOf(1) }]);
    hidden = undefined;
    assert.equal(await follower().look(), true);
    assert.equal(store.head(lane)?.accumulator, headOf(history).accumulator);
  });

  it("ignores a final block below the one it has been at", async () => {
    await follower().look();
    history = { ...history, final: 9n };
    assert.equal(await follower().look(), false);
    store.forget(lane.origin);
    assert.equal(await follower().look(), false);
    assert.equal(store.head(lane), undefined);
  });

  it("writes blocks without messages down only now and then, and what comes after them at once", async () => {
    const written: bigint[] = [];
    const record: SigningStore["record"] = (origin, block, replace) => {
      written.push(block.height);
      store.record(origin, block, replace);
    };
    const following = follower({ ...store, record });
    for (const final of [10n, 11n, 12n]) {
      history = { final, perBlock: 2, last: 10n };
      assert.equal(await following.look(), true);
      assert.equal(store.cursor(lane.origin)?.height, final);
    }
    assert.deepEqual(written, [10n]);
    now += 5_000;
    history = { final: 13n, perBlock: 2, last: 10n };
    await following.look();
    history = { final: 14n, perBlock: 2, last: 10n };
    await following.look();
    assert.deepEqual(written, [10n, 13n]);
    // What a process that was killed leaves is older, and the lanes are the same there.
    store.record(lane.origin, { height: 13n, hash: hashAt(history, 13n) });
    assert.equal(await follower().look(), true);
    assert.equal(store.head(lane)?.nonce, 20n);
  });

  it("reads a lane that it learns of late from the lane's beginning, and the others go on", async () => {
    await follower().look();
    sign(8n);
    lanes = [lane, late];
    // On a quiet chain the cursor is at the final block already.
    assert.equal(await follower().look(), true);
    assert.equal(store.head(late)?.accumulator, lateHead.accumulator);
    assert.equal(store.head(lane)?.nonce, 20n);
    history = { ...history, final: 14n };
    assert.equal(await follower().look(), true);
    assert.deepEqual([store.head(lane)?.nonce, store.head(late)?.nonce], [28n, 2n]);
  });

  it("takes over a rewritten history that contradicts no signature", async () => {
    await follower().look();
    sign(8n);
    history = { final: 12n, perBlock: 2, fork: 5n };
    assert.equal(await follower().look(), true);
    assert.equal(store.head(lane)?.accumulator, headOf(history).accumulator);
  });

  it("halts when a final block contradicts what was signed, and again when it is resumed without more", async () => {
    await follower().look();
    sign(9n);
    history = { final: 12n, perBlock: 2, fork: 5n };
    await assert.rejects(follower().look(), halted);
    assert.match(store.halted() ?? "", /nonce 9, but final block 12/);
    store.resume();
    await assert.rejects(follower().look(), halted);
    // Whether it is over cannot be seen: nothing is signed, and nothing is final about it.
    store.resume();
    generation = undefined;
    await assert.rejects(follower().look(), /destination is down/);
    assert.deepEqual([store.halted(), store.head(lane)], [undefined, undefined]);
  });

  it("follows the new branch when it is resumed after governance has realigned the lane", async () => {
    await follower().look();
    sign(9n);
    history = { final: 12n, perBlock: 2, fork: 5n };
    await assert.rejects(follower().look(), halted);
    store.resume();
    generation = 1;
    assert.equal(await follower().look(), true);
    // In the new generation the new branch is signed, and held against as the old one was.
    assert.equal(sign(9n, 1), store.accumulatorAt(lane, 9n));
    history = { final: 14n, perBlock: 2, fork: 4n };
    sign(7n, 1);
    store.claim(lane, 1, { nonce: 6n, accumulator: hashOf(1) });
    store.forget(lane.origin);
    await assert.rejects(follower().look(), halted);
  });

  it("halts when a signed header is not in the final chain any more", async () => {
    await follower().look();
    store.claimHeader(lane, 0, { height: 9n, hash: hashAt(history, 9n) }, 0n);
    const one = follower();
    assert.equal(await one.look(), true);
    history = { final: 30n, perBlock: 0, fork: 8n };
    assert.equal(await chain.hashAt(9n), hashOf(500_009));
    now += 10_000;
    await assert.rejects(one.look(), halted);
    assert.match(store.halted() ?? "", /signed header/);
  });
});
