import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { getAddress, type Hex, numberToHex, zeroAddress } from "viem";
import { isLockstepError } from "#core/kernel/errors.ts";
import {
  assertQuorumSet,
  evaluateQuorum,
  type QuorumSet,
  type Threshold,
  toContractSet,
} from "#relay/protocol/quorum.ts";

const account = (n: number): Hex => getAddress(numberToHex(n, { size: 20 }));
const setOf = (weights: readonly bigint[], threshold: Threshold): QuorumSet => ({
  validators: weights.map((weight, n) => ({ account: account(n + 1), weight })),
  threshold,
});
const twoThirds: Threshold = { rule: "superMajority", numerator: 2n, denominator: 3n };

describe("a quorum", () => {
  it("of an absolute weight is reached exactly at it", () => {
    const set = setOf([2n, 3n, 2n], { rule: "absoluteWeight", weight: 5n });
    assert.deepEqual(evaluateQuorum(set, [account(1), account(3)]), { weight: 4n, totalWeight: 7n, reached: false });
    assert.deepEqual(evaluateQuorum(set, [account(1), account(2)]), { weight: 5n, totalWeight: 7n, reached: true });
  });

  it("of a simple majority needs more than half", () => {
    const set = setOf([3n, 2n, 1n], { rule: "simpleMajority" });
    assert.equal(evaluateQuorum(set, [account(1)]).reached, false);
    assert.equal(evaluateQuorum(set, [account(1), account(3)]).reached, true);
  });

  it("of a super-majority needs strictly more than the fraction", () => {
    assert.equal(evaluateQuorum(setOf([1n, 1n, 1n], twoThirds), [account(1), account(2)]).reached, false);
    assert.equal(evaluateQuorum(setOf([201n, 100n, 99n], twoThirds), [account(1), account(2)]).reached, true);
  });

  it("counts signers once, in any spelling, and strangers not at all", () => {
    const set = setOf([1n, 1n, 1n], { rule: "simpleMajority" });
    const one = account(1);
    const lower: Hex = `0x${one.slice(2).toLowerCase()}`;
    assert.equal(evaluateQuorum(set, [one, lower, one, account(99)]).weight, 1n);
  });

  it("is never lost by one more signer, and two quorums of a majority rule share a validator", () => {
    const rule = fc.constantFrom<Threshold>({ rule: "simpleMajority" }, twoThirds);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.bigInt(1n, 1n << 90n), fc.boolean(), fc.boolean()), { minLength: 1, maxLength: 12 }),
        rule,
        (rows, threshold) => {
          const set = setOf(
            rows.map(([weight]) => weight),
            threshold,
          );
          const signers = (index: 1 | 2) => rows.flatMap((row, n) => (row[index] ? [account(n + 1)] : []));
          const [some, others] = [signers(1), signers(2)];
          const reached = (list: Hex[]) => evaluateQuorum(set, list).reached;
          if (reached(some)) assert.ok(reached([...some, ...others]));
          if (reached(some) && reached(others)) assert.ok(some.some((one) => others.includes(one)));
        },
      ),
    );
  });

  it("is put to the contract with its validators sorted as numbers", () => {
    const accounts: Hex[] = [
      "0xB000000000000000000000000000000000000000",
      "0xa000000000000000000000000000000000000000",
    ];
    const validators = accounts.map((one) => ({ account: one, weight: 1n }));
    const sorted = toContractSet({ validators, threshold: { rule: "simpleMajority" } });
    assert.deepEqual(
      sorted.validators,
      accounts.toReversed().map((one) => BigInt(`${one}${"1".padStart(24, "0")}`)),
    );
  });

  it("is refused where the gateway would refuse it", () => {
    const majority: Threshold = { rule: "simpleMajority" };
    const twice = setOf([1n], majority).validators;
    const refused: QuorumSet[] = [
      setOf([], majority),
      { validators: [{ account: zeroAddress, weight: 1n }], threshold: majority },
      { validators: [...twice, ...twice], threshold: majority },
      setOf([0n], majority),
      setOf([1n << 96n], majority),
      setOf([1n], { rule: "absoluteWeight", weight: 0n }),
      setOf([1n], { rule: "absoluteWeight", weight: 2n }),
      setOf([1n], { rule: "superMajority", numerator: 3n, denominator: 3n }),
      setOf([1n], { rule: "superMajority", numerator: 1n, denominator: 3n }),
    ];
    for (const set of refused) assert.throws(() => assertQuorumSet(set), isConfigInvalid);
    assertQuorumSet(setOf([1n, 2n], twoThirds));
  });
});

const isConfigInvalid = (error: unknown) => isLockstepError(error, "config-invalid");
