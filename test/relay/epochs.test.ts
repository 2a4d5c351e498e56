import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countingSet, epochsOf } from "#relay/epochs.ts";
import type { SetFact } from "#relay/protocol/sets.ts";
import { addressOf, epoch as sample } from "./samples.ts";

const { set } = sample;
const started = (epoch: bigint, previousValidUntil = 0n): SetFact => ({
  ...{ kind: "set", originChainId: 1, epoch, set, previousValidUntil },
});
const revoked = (epoch: bigint): SetFact => ({ kind: "revoked", originChainId: 1, epoch });
const excluded = (epoch: bigint, index: number): SetFact => ({
  ...{ kind: "excluded", originChainId: 1, epoch, validator: addressOf(index + 10) },
});
const left = (facts: SetFact[]) => epochsOf(facts).map(({ epoch, validUntil }) => [epoch, validUntil]);

describe("epochs of a lane", () => {
  it("end when they are succeeded, as the event says, and the newest does not", () => {
    assert.deepEqual(left([started(1n), started(2n, 500n), started(3n, 900n)]), [
      [3n, undefined],
      [2n, 900n],
      [1n, 500n],
    ]);
  });

  it("are gone when they are revoked, and stay so when they are succeeded afterwards", () => {
    assert.deepEqual(left([started(1n), started(2n, 500n), revoked(2n), started(3n)]), [
      [3n, undefined],
      [1n, 500n],
    ]);
  });

  it("count excluded validators for nothing, in that epoch alone", () => {
    const [third, second] = epochsOf([started(2n), excluded(2n, 0), started(3n, 900n)]);
    assert.deepEqual(second && countingSet(second).validators, set.validators.slice(1));
    assert.deepEqual(second?.set, set);
    assert.deepEqual(third && countingSet(third), set);
  });
});
