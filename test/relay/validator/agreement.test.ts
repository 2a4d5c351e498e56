import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeFunctionResult } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Block, Chain } from "#core/chain/chain.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type AgreedBlock, createAgreedChain } from "#relay/validator/agreement.ts";
import { quietLog } from "../../support/databases.ts";
import { addressOf, hashOf } from "../samples.ts";

type Story = { final?: bigint | "silent"; fork?: number; head?: bigint; callFails?: boolean };

/** An endpoint that tells one story: how far it is, on which fork, and how long the lane is there. */
function endpoint({ final = 10n, fork = 0, head = 3n, callFails = false }: Story): Chain {
  const blockAt = (number: bigint): Block => ({
    ...{ number, hash: hashOf(Number(number) + fork * 1000), parentHash: hashOf(0), timestamp: number },
  });
  const silent = () => Promise.reject(new Error("silent"));
  return {
    ...{ name: "alpha", chainId: 1, genesis: silent, logs: silent, receipt: silent, account: silent },
    ...{ fees: silent, send: silent },
    block: (at) => {
      if (final === "silent") return silent();
      if (typeof at === "bigint") return Promise.resolve(at <= final + 5n ? blockAt(at) : undefined);
      return Promise.resolve(blockAt(final));
    },
    call: () => {
      if (callFails) return silent();
      const result = { accumulator: hashOf(Number(head)), nonce: head, generation: 0 };
      return Promise.resolve<Hex>(encodeFunctionResult({ abi: gatewayAbi, functionName: "outboundHead", result }));
    },
  };
}

/** Nobody is waited for longer than it takes all others to answer. */
const clock: Clock = { now: () => 0, sleep: () => new Promise((resolve) => setImmediate(() => setImmediate(resolve))) };

const chainOf = (stories: Story[]) =>
  createAgreedChain({
    ...{ endpoints: stories.map(endpoint), names: stories.map((_, index) => `node-${index}`) },
    ...{ gateway: addressOf(1), destinations: [2], clock, log: quietLog },
  });
const look = async (stories: Story[], known?: Hex) => {
  const agreed = await chainOf(stories).look(known);
  return agreed === undefined || agreed === "known" ? agreed : { height: agreed.height, head: headOf(agreed) };
};
const headOf = ({ heads }: AgreedBlock) => heads.get(2)?.nonce;
const at = (height: bigint, head = 3n) => ({ height, head });

describe("agreement of a validator's endpoints", () => {
  it("takes the word of one when there is one", async () => {
    assert.deepEqual(await look([{}]), at(10n));
    assert.equal(await look([{}], hashOf(10)), "known");
  });

  it("compares at the height that two thirds have reached, so that one that lags or is ahead is no harm", async () => {
    assert.deepEqual(await look([{ final: 10n }, { final: 10n }, { final: 7n }]), at(10n));
    assert.deepEqual(await look([{ final: 12n }, { final: 9n }]), at(9n));
  });

  it("counts silence as no vote: two of three are enough, one of three is not", async () => {
    assert.deepEqual(await look([{}, {}, { final: "silent" }]), at(10n));
    assert.equal(await look([{}, { final: "silent" }, { final: "silent" }]), undefined);
    assert.deepEqual(await look([{}, {}, { callFails: true }]), at(10n));
    assert.equal(await look([{}, { callFails: true }, { callFails: true }]), undefined);
  });

  it("waits for no endpoint that hangs once the others suffice, and asks it only once", async () => {
    let asked = 0;
    const block = () => {
      asked++;
      return new Promise<never>(() => undefined);
    };
    const counting: Chain = { ...endpoint({}), block };
    const endpoints = [counting, endpoint({}), endpoint({})];
    const names = ["a", "b", "c"];
    const chain = createAgreedChain({
      endpoints,
      names,
      gateway: addressOf(1),
      destinations: [2],
      clock,
      log: quietLog,
    });
    for (let look = 0; look < 3; look++) assert.ok(await chain.look(undefined));
    assert.equal(asked, 1);
    assert.deepEqual(
      chain.status().map(({ state }) => state),
      ["silent", "agrees", "agrees"],
    );
    // Whom to ask for logs: those that voted.
    assert.notEqual(chain.endpoints[0], counting);
  });

  it("finds nothing when fewer than two thirds have the same block or the same head", async () => {
    assert.equal(await look([{}, { fork: 1 }]), undefined);
    assert.equal(await look([{}, { fork: 1 }, { fork: 2 }]), undefined);
    assert.equal(await look([{}, { head: 4n }]), undefined);
  });

  it("is neither stopped nor misled by one liar of three, whatever it lies about", async () => {
    for (const place of [0, 1, 2]) {
      const among = (lie: Story, second: Story = {}) => [{}, second].toSpliced(place, 0, lie);
      assert.deepEqual(await look(among({ fork: 1 })), at(10n), "another block");
      assert.deepEqual(await look(among({ fork: 1, final: 99n })), at(10n), "far ahead on another branch");
      assert.deepEqual(await look(among({ head: 4n })), at(10n), "another head");
      // One that lags at the same time: a lower height, but not none.
      assert.deepEqual(await look(among({ fork: 1 }, { final: 7n })), at(7n), "another block while one lags");
    }
  });

  it("says which endpoint disagrees, and that all do where nobody is known to be right", async () => {
    const statesOf = async (stories: Story[]) => {
      const chain = chainOf(stories);
      await chain.look(undefined);
      await new Promise(setImmediate);
      return chain.status().map(({ endpoint, state }) => `${endpoint} ${state}`);
    };
    assert.deepEqual(await statesOf([{ fork: 1 }, {}, {}]), ["node-0 disagrees", "node-1 agrees", "node-2 agrees"]);
    assert.deepEqual(await statesOf([{}, {}, { fork: 1 }]), ["node-0 agrees", "node-1 agrees", "node-2 disagrees"]);
    assert.deepEqual(await statesOf([{ fork: 1 }, {}]), ["node-0 disagrees", "node-1 disagrees"]);
    assert.deepEqual(await statesOf([{ final: 4n }, {}, {}]), ["node-0 behind", "node-1 agrees", "node-2 agrees"]);
    assert.deepEqual(await statesOf([{ final: "silent" }, {}, {}]), [
      "node-0 silent",
      "node-1 agrees",
      "node-2 agrees",
    ]);
  });

  it("answers a height and any other question only as two thirds do", async () => {
    assert.equal(await chainOf([{}, {}, { fork: 1 }]).hashAt(5n), hashOf(5));
    assert.equal(await chainOf([{}, { fork: 1 }]).hashAt(5n), undefined);
    const answers = [1n, 2n, 2n];
    const chain = chainOf([{}, {}, {}]);
    assert.equal(await chain.agree(async () => answers.shift()!, String), 2n);
    const split = [1n, 2n, 3n];
    await assert.rejects(
      chain.agree(async () => split.shift()!, String),
      /2 of 3 endpoints have to answer alike/,
    );
  });
});
