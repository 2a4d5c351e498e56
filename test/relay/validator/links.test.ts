import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Chain } from "#core/chain/chain.ts";
import { emptyAccumulator, nextAccumulator } from "#relay/protocol/message.ts";
import { appendedInWindows, emptyHead, linksBehind } from "#relay/validator/links.ts";
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
        const links = linksBehind(headAfter(from), idsUpTo(to).slice(from));
        assert.equal(links?.length, to - from);
        assert.deepEqual(links.at(-1) ?? headAfter(from), headAfter(to));
      }),
    );
  });

  it("are none or lead elsewhere when one is missing, doubled, changed or out of order", () => {
    const spoil = fc.constantFrom("missing", "doubled", "changed", "swapped");
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 12 }), fc.nat(), spoil, (count, seed, how) => {
        const ids = idsUpTo(count);
        const at = seed % (count - 1);
        if (how === "missing") ids.splice(at, 1);
        if (how === "doubled") ids.splice(at, 0, ids[at]!);
        if (how === "changed") ids[at] = { ...ids[at]!, id: hashOf(999) };
        if (how === "swapped") ids.splice(at, 2, ids[at + 1]!, ids[at]!);
        assert.notDeepEqual(linksBehind(emptyHead, ids)?.at(-1), headAfter(count));
      }),
    );
  });
});

describe("logs in windows of blocks", () => {
  type Asked = { fromBlock: bigint; toBlock: bigint };
  const read = async (most: bigint, range: { fromBlock: bigint; toBlock: bigint; window: bigint }) => {
    const asked: Asked[] = [];
    const chain = {
      logs: async ({ fromBlock, toBlock }: Asked) => {
        if (toBlock - fromBlock >= most) throw new Error("too many results");
        asked.push({ fromBlock, toBlock });
        return [];
      },
    } as unknown as Chain;
    for await (const _ of appendedInWindows(chain, hashOf(1), range));
    return asked;
  };

  it("cover every block once, in order", async () => {
    const asked = await read(100n, { fromBlock: 3n, toBlock: 25n, window: 10n });
    assert.deepEqual(asked, [
      { fromBlock: 3n, toBlock: 12n },
      { fromBlock: 13n, toBlock: 22n },
      { fromBlock: 23n, toBlock: 25n },
    ]);
  });

  it("shrink when the endpoint refuses, down to one block", async () => {
    const asked = await read(3n, { fromBlock: 1n, toBlock: 40n, window: 32n });
    assert.equal(asked.at(0)?.fromBlock, 1n);
    assert.equal(asked.at(-1)?.toBlock, 40n);
    for (const [index, { fromBlock }] of asked.entries()) {
      if (index > 0) assert.equal(fromBlock, asked[index - 1]!.toBlock + 1n);
    }
    await assert.rejects(read(0n, { fromBlock: 1n, toBlock: 4n, window: 4n }), /too many/);
  });
});
