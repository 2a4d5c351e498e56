import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { share } from "#core/sender/admission.ts";
import { costOf } from "#core/sender/purse.ts";
import type { Queued } from "#core/sender/rows.ts";
import { ringing } from "./support.ts";

const queue: fc.Arbitrary<Queued[]> = fc
  .array(fc.record({ value: fc.bigInt(0n, 30n), lasting: fc.boolean() }), { maxLength: 8 })
  .map((wanted) =>
    wanted.map(({ value, lasting }, index) => ({
      intent: ringing("0x", BigInt(index), {
        call: { to: "0x", data: "0x", value },
        gas: 1n,
        ...(lasting ? {} : { notAfter: 1n }),
      }),
      ...{ place: BigInt(index), moved: false, released: false, events: 0, pooled: false },
    })),
  );

const cost = ({ intent }: Queued) => costOf(intent, { maxFeePerGas: 2n, maxPriorityFeePerGas: 1n });
const sum = (some: readonly Queued[]) => some.reduce((total, each) => total + cost(each), 0n);

describe("what the account pays", () => {
  it("is never more than it has, in the order of submission, and leaves nobody out whom the rest would pay", () => {
    fc.assert(
      fc.property(queue, fc.bigInt(-20n, 100n), (ready, free) => {
        const { paid, unpaid, left } = share(ready, cost, free);
        assert.equal(left, free - sum(paid));
        assert.ok(paid.length === 0 || left >= 0n);
        assert.ok(unpaid.every((each) => cost(each) > left));
        assert.deepEqual(new Set([...paid, ...unpaid]), new Set(ready));
        assert.ok(paid.every(({ place }, index) => index === 0 || place > (paid[index - 1]?.place ?? 0n)));
      }),
    );
  });

  it("is what never expires first, whatever else is asked for", () => {
    fc.assert(
      fc.property(queue, fc.bigInt(0n, 100n), (ready, free) => {
        const lasting = ready.filter(({ intent }) => intent.notAfter === undefined);
        const together = share(ready, cost, free).paid.filter((each) => lasting.includes(each));
        assert.deepEqual(together, share(lasting, cost, free).paid);
      }),
    );
  });
});
