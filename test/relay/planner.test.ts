import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { size } from "viem";
import { calldataCap, deliverCalldataBytes, deliveryGas, transactionGasCap } from "#relay/gas.ts";
import { consecutive, planBatch } from "#relay/planner.ts";
import { encodeDeliver } from "#relay/protocol/calls.ts";
import { addressOf, hashOf } from "./samples.ts";

const candidates = fc
  .array(fc.record({ gasLimit: fc.bigInt(1n, 5_000_000n), payloadBytes: fc.integer({ min: 0, max: 16_384 }) }), {
    minLength: 1,
    maxLength: 120,
  })
  .map((list) => list.map((message, index) => ({ ...message, nonce: BigInt(index + 1) })));

const shapeOf = (messages: { gasLimit: bigint; payloadBytes: number }[], validators: number) => ({
  ...{ messages, validators, signatures: validators, laterIds: 0 },
});

describe("planning a batch", () => {
  it("takes as many as fit and not one more", () => {
    fc.assert(
      fc.property(
        candidates,
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 100 }),
        (list, v, maxBatch) => {
          const count = planBatch(list, { maxBatch, validators: v });
          assert.ok(count >= 1 && count <= Math.min(maxBatch, list.length));
          const fits = (n: number) =>
            deliveryGas(shapeOf(list.slice(0, n), v)) <= transactionGasCap &&
            deliverCalldataBytes(shapeOf(list.slice(0, n), v)) <= calldataCap;
          assert.ok(fits(count), "the batch is too large");
          if (count < Math.min(maxBatch, list.length)) assert.ok(!fits(count + 1), "one more would fit");
        },
      ),
      { numRuns: 200 },
    );
  });

  it("answers nothing for nothing, and one for a message that is too large for any rule", () => {
    assert.equal(planBatch([], { maxBatch: 10, validators: 3 }), 0);
    assert.equal(planBatch([{ nonce: 1n, gasLimit: 1n << 30n, payloadBytes: 0 }], { maxBatch: 10, validators: 3 }), 1);
  });

  it("knows the exact length of a delivery's calldata", () => {
    const counts = fc.tuple(
      fc.array(fc.integer({ min: 0, max: 200 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 0, max: 5 }),
    );
    fc.assert(
      fc.property(counts, ([payloads, validators, signatures, laterIds]) => {
        const message = (bytes: number) => ({
          ...{ sender: addressOf(1), recipient: addressOf(2), gasLimit: 1n, attributesHash: hashOf(1) },
          payload: `0x${"ab".repeat(bytes)}` as const,
        });
        const data = encodeDeliver({
          checkpoint: {
            ...{ originChainId: 1, originGateway: addressOf(3), generation: 0, nonce: 1n, accumulator: hashOf(2) },
            epoch: 1n,
          },
          set: {
            validators: Array.from({ length: validators }, (_, n) => ({ account: addressOf(n), weight: 1n })),
            threshold: { rule: "simpleMajority" },
          },
          signatures: Array.from({ length: signatures }, (_, n) => ({
            signer: addressOf(n),
            signature: `0x${"11".repeat(64)}1b` as const,
          })),
          firstNonce: 1n,
          messages: payloads.map(message),
          laterIds: Array.from({ length: laterIds }, (_, n) => hashOf(n)),
        });
        const messages = payloads.map((payloadBytes) => ({ gasLimit: 1n, payloadBytes }));
        assert.equal(deliverCalldataBytes({ messages, validators, signatures, laterIds }), size(data));
      }),
      { numRuns: 50 },
    );
  });

  it("takes no more than the destination does, and fewer the more often the first has failed", () => {
    fc.assert(
      fc.property(candidates, fc.bigInt(0n, 200n), fc.integer({ min: 0, max: 12 }), (list, available, failures) => {
        const all = planBatch(list, { maxBatch: 100, validators: 3 });
        const count = planBatch(list, { maxBatch: 100, validators: 3, available, failures });
        const patience = Math.max(1, Math.floor(100 / 2 ** failures));
        assert.equal(count, Math.min(all, Number(available), patience));
      }),
    );
  });

  it("takes the run without a gap from a nonce on", () => {
    const at = (...nonces: bigint[]) => nonces.map((nonce) => ({ nonce }));
    assert.deepEqual(consecutive(at(1n, 2n, 3n, 5n), 2n), at(2n, 3n));
    assert.deepEqual(consecutive(at(2n, 3n), 1n), []);
    assert.deepEqual(consecutive(at(), 1n), []);
  });
});
