import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { encodeFunctionResult } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Block, Chain } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { createAgreedChain } from "#relay/validator/agreement.ts";
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

const look = (stories: Story[], known?: Hex) =>
  createAgreedChain({
    ...{ endpoints: stories.map(endpoint), gateway: addressOf(1), destinations: [2], log: quietLog },
  }).look(known);

describe("agreement of a validator's endpoints", () => {
  it("takes the word of one when there is one", async () => {
    const agreed = await look([{}]);
    assert.deepEqual([agreed?.height, agreed?.heads.get(2)?.nonce], [10n, 3n]);
    assert.equal(await look([{}], hashOf(10)), undefined);
  });

  it("compares at the height that two thirds have reached, so that one that lags or is ahead is no harm", async () => {
    assert.equal((await look([{ final: 10n }, { final: 10n }, { final: 7n }]))?.height, 10n);
    assert.equal((await look([{ final: 12n }, { final: 11n }, { final: 7n }]))?.height, 11n);
    assert.equal((await look([{ final: 12n }, { final: 9n }]))?.height, 9n);
  });

  it("counts silence as no vote: two of three are enough, one of three is not", async () => {
    assert.equal((await look([{}, {}, { final: "silent" }]))?.height, 10n);
    assert.equal(await look([{}, { final: "silent" }, { final: "silent" }]), undefined);
    assert.equal((await look([{}, {}, { callFails: true }]))?.height, 10n);
    assert.equal(await look([{}, { callFails: true }, { callFails: true }]), undefined);
  });

  it("finds nothing when fewer than two thirds have the same block or the same head", async () => {
    assert.equal((await look([{}, {}, { fork: 1 }]))?.height, 10n);
    assert.equal(await look([{}, { fork: 1 }]), undefined);
    assert.equal(await look([{}, { fork: 1 }, { fork: 2 }]), undefined);
    assert.equal(await look([{}, { head: 4n }]), undefined);
    assert.equal((await look([{}, {}, { head: 4n }]))?.heads.get(2)?.nonce, 3n);
  });
});
