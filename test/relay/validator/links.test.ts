import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { emptyAccumulator, nextAccumulator } from "#relay/protocol/message.ts";
import { linksBetween } from "#relay/validator/links.ts";
import { hashOf } from "../samples.ts";

const idsUpTo = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    ...{ destinationChainId: 2, nonce: BigInt(index + 1), id: hashOf(index) },
  }));

const headAfter = (count: number) => ({
  nonce: BigInt(count),
  accumulator: idsUpTo(count).reduce((accumulator, { id }) => nextAccumulator(accumulator, id), emptyAccumulator),
});

describe("links of a lane", () => {
  it("lead from any head to any later one", () => {
    fc.assert(
      fc.property(fc.nat(12), fc.nat(12), (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        const links = linksBetween(from === 0 ? undefined : headAfter(from), headAfter(to), idsUpTo(to).slice(from));
        assert.equal(links?.length, to - from);
        assert.deepEqual(links.at(-1) ?? headAfter(from), headAfter(to));
      }),
    );
  });

  it("do not lead there when one is missing, doubled, changed, out of order or too many", () => {
    const spoil = fc.constantFrom("missing", "doubled", "changed", "swapped", "more");
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), fc.nat(), spoil, (count, seed, how) => {
        const ids = idsUpTo(count);
        const at = seed % (count - 1);
        if (how === "missing") ids.splice(at, 1);
        if (how === "doubled") ids.splice(at, 0, ids[at]!);
        if (how === "changed") ids[at] = { ...ids[at]!, id: hashOf(999) };
        if (how === "swapped") ids.splice(at, 2, ids[at + 1]!, ids[at]!);
        if (how === "more") ids.push(idsUpTo(count + 1).at(-1)!);
        assert.equal(linksBetween(undefined, headAfter(count), ids), undefined);
      }),
    );
  });
});
