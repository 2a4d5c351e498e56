import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { decodeFunctionData, encodeFunctionResult } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { CallRequest, Chain } from "#core/chain/chain.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createLaneTerms } from "#relay/validator/terms.ts";
import { addressOf, hashOf } from "../samples.ts";

describe("terms of a lane", () => {
  let now: number;
  let newest: bigint;
  let generation: number;
  let validUntil: Map<bigint, bigint>;
  let reads: number;
  beforeEach(() => {
    now = 1_000_000;
    newest = 3n;
    generation = 0;
    reads = 0;
    // In Unix seconds: the first is over, the second overlaps for a while.
    validUntil = new Map([
      [1n, 900n],
      [2n, 1_100n],
      [3n, 2n ** 40n - 1n],
    ]);
  });

  async function call({ data }: CallRequest) {
    reads++;
    const { functionName, args } = decodeFunctionData({ abi: gatewayAbi, data: data ?? "0x" });
    const abi = gatewayAbi;
    if (functionName === "newestEpoch") return encodeFunctionResult({ abi, functionName, result: newest });
    if (functionName === "epochInfo") {
      const until = validUntil.get(args[1]) ?? 0n;
      return encodeFunctionResult({ abi, functionName, result: [`0x${"00".repeat(26)}`, until, 0n] });
    }
    const result = { accumulator: hashOf(1), nonce: 1n, generation };
    return encodeFunctionResult({ abi, functionName: "inboundHead", result });
  }
  const terms = () =>
    createLaneTerms({
      destination: { agree: (read) => read({ call } as unknown as Chain) },
      ...{ gateway: addressOf(1), originChainId: 1 },
      clock: { now: () => now, sleep: async () => undefined },
    });
  const refused = (error: unknown) => isLockstepError(error, "attestation-refused");

  it("are those of any epoch that the destination takes now", async () => {
    const some = terms();
    await some.assertValid({ epoch: 3n, generation: 0 });
    await some.assertValid({ epoch: 2n, generation: 0 });
    for (const epoch of [0n, 1n, 4n]) await assert.rejects(some.assertValid({ epoch, generation: 0 }), refused);
    await assert.rejects(some.assertValid({ epoch: 3n, generation: 1 }), refused);
    now += 100_000;
    await assert.rejects(some.assertValid({ epoch: 2n, generation: 0 }), refused);
  });

  it("change within seconds: a rotation and a realignment at once, a revocation soon", async () => {
    const some = terms();
    assert.deepEqual(await some.newest(), { epoch: 3n, generation: 0 });
    newest = 4n;
    generation = 1;
    validUntil.set(4n, 2n ** 40n - 1n);
    now += 1_000;
    await some.assertValid({ epoch: 4n, generation: 1 });
    await some.assertValid({ epoch: 2n, generation: 1 });
    validUntil.set(2n, 0n);
    now += 5_000;
    await assert.rejects(some.assertValid({ epoch: 2n, generation: 1 }), refused);
  });

  it("fall back to the newest epoch that is left when the newest is revoked", async () => {
    validUntil.set(3n, 0n);
    assert.deepEqual(await terms().newest(), { epoch: 2n, generation: 0 });
    validUntil.clear();
    assert.equal(await terms().newest(), undefined);
  });

  it("cost a stranger's nonsense no reading", async () => {
    const some = terms();
    newest = 1_000n;
    await assert.rejects(some.assertValid({ epoch: 1_001n, generation: 0 }), refused);
    const before = reads;
    for (let epoch = 1n; epoch < 900n; epoch++) {
      await assert.rejects(some.assertValid({ epoch, generation: 0 }), refused);
    }
    assert.equal(reads, before);
  });
});
