import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { evaluateQuorum, type QuorumSet, type Threshold } from "#relay/protocol/quorum.ts";
import { type Attestation, headsOf, highestQuorum, quorumAt, quorumHead } from "#relay/quorum.ts";
import { addressOf, hashOf } from "./samples.ts";

const sets = fc
  .tuple(fc.array(fc.bigInt(1n, 5n), { minLength: 1, maxLength: 6 }), fc.integer({ min: 0, max: 2 }))
  .map(([weights, rule]): QuorumSet => {
    const total = weights.reduce((sum, weight) => sum + weight, 0n);
    const thresholds: Threshold[] = [
      { rule: "simpleMajority" },
      { rule: "superMajority", numerator: 2n, denominator: 3n },
      { rule: "absoluteWeight", weight: (total + 2n) / 2n },
    ];
    const validators = weights.map((weight, index) => ({ account: addressOf(index), weight }));
    return { validators, threshold: thresholds[rule] ?? { rule: "simpleMajority" } };
  });

/** Up to 30 words of up to six validators about nonces 1 to 6, a stranger among them. */
const words = fc.array(
  fc.record({ signer: fc.integer({ min: 0, max: 6 }), nonce: fc.bigInt(1n, 6n) }).map(
    ({ signer, nonce }): Attestation => ({
      ...{ epoch: 1n, validator: addressOf(signer), nonce, accumulator: hashOf(Number(nonce)), signature: "0x" },
    }),
  ),
  { maxLength: 30 },
);

const signersAt = (list: readonly Attestation[], holds: (nonce: bigint) => boolean) => [
  ...new Set(list.filter(({ nonce }) => holds(nonce)).map(({ validator }) => validator)),
];

describe("quorum bookkeeping", () => {
  it("finds a quorum at a nonce exactly when those who signed it have the weight, with no signature to spare", () => {
    fc.assert(
      fc.property(sets, words, (set, list) => {
        for (const nonce of [1n, 3n, 6n]) {
          const found = quorumAt(set, list, nonce);
          const reached = evaluateQuorum(
            set,
            signersAt(list, (n) => n === nonce),
          ).reached;
          assert.equal(found !== undefined, reached);
          if (!found) continue;
          const signers = found.signatures.map(({ signer }) => signer);
          assert.ok(evaluateQuorum(set, signers).reached);
          assert.equal(new Set(signers).size, signers.length, "a validator signs once");
          assert.ok(!evaluateQuorum(set, signers.slice(0, -1)).reached, "the last signature is not needed");
        }
      }),
    );
  });

  it("finds the highest nonce within bounds that has a quorum", () => {
    fc.assert(
      fc.property(sets, words, fc.bigInt(1n, 6n), fc.bigInt(1n, 6n), (set, list, from, to) => {
        const found = highestQuorum(set, list, { from, to })?.nonce;
        const all = [1n, 2n, 3n, 4n, 5n, 6n].filter((n) => n >= from && n <= to && quorumAt(set, list, n));
        assert.equal(found, all.at(-1));
      }),
    );
  });

  it("knows the highest nonce that a quorum has passed", () => {
    fc.assert(
      fc.property(sets, words, (set, list) => {
        const head = quorumHead(set, headsOf(list));
        const passed = (nonce: bigint) =>
          evaluateQuorum(
            set,
            signersAt(list, (n) => n >= nonce),
          ).reached;
        const expected = [6n, 5n, 4n, 3n, 2n, 1n].find(passed) ?? 0n;
        assert.equal(head, expected);
      }),
    );
  });
});
