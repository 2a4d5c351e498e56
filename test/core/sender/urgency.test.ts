import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Fees } from "#core/chain/chain.ts";
import { boundsAt, boundsOf, isPressing } from "#core/sender/bounds.ts";
import type { Flight } from "#core/sender/flight.ts";
import { nextPrice } from "#core/sender/price.ts";
import { pressureOf } from "#core/sender/urgency.ts";
import { ringing } from "./support.ts";

const gwei = 10n ** 9n;
const coin = 10n ** 18n;
const by = 1_800_000_000n;
const wei = fc.bigInt({ min: 1n, max: 10n ** 14n });
const maybe = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });

/** Milliseconds before the deadline, often near the bounds at which something changes. */
const leftMs = fc.oneof(fc.integer({ min: -1_000_000, max: 5_000_000 }), fc.constantFrom(0, 60_000, 240_000, 239_999));
const scene = fc.record({
  gas: fc.bigInt({ min: 21_000n, max: 16_000_000n }),
  worth: maybe(fc.bigInt({ min: 0n, max: 10n ** 24n })),
  ordinary: wei,
  unpriced: wei,
  most: maybe(wei),
  inclusionMs: fc.integer({ min: 0, max: 1_000_000 }),
});

function pressureIn(
  { gas, worth, ordinary, unpriced, most, inclusionMs }: typeof scene extends fc.Arbitrary<infer S> ? S : never,
  left: number,
) {
  const ceilings = { ordinary, unpriced, ...(most !== undefined && { most }) };
  const urgency = { by, ...(worth !== undefined && { worth }) };
  return pressureOf(urgency, { gas, ceilings, now: Number(by) * 1_000 - left, inclusionMs });
}

describe("the price of what has a deadline", () => {
  it("may rise as the deadline comes nearer, and never falls", () => {
    fc.assert(
      fc.property(scene, leftMs, fc.nat(2_000_000), wei, (what, left, later, fee) => {
        const [early, late] = [pressureIn(what, left), pressureIn(what, left - later)];
        assert.ok(late.ceiling >= early.ceiling);
        assert.ok(late.aim(fee) >= early.aim(fee));
        assert.ok(!early.near || late.near);
      }),
      { numRuns: 1_000 },
    );
  });

  it("is never over what the effect is worth, nor what an operator allows, once it is over the ordinary ceiling", () => {
    fc.assert(
      fc.property(scene, leftMs, (what, left) => {
        const { ceiling } = pressureIn(what, left);
        if (ceiling === what.ordinary) return;
        assert.ok(ceiling > what.ordinary);
        assert.ok(what.worth === undefined ? ceiling <= what.unpriced : ceiling * what.gas <= what.worth);
        assert.ok(what.most === undefined || ceiling <= what.most);
      }),
      { numRuns: 1_000 },
    );
  });

  it("is an ordinary one until four bounds on inclusion are left, and up to the top from one on", () => {
    fc.assert(
      fc.property(scene, fc.nat(1_000_000), (what, beyond) => {
        const far = pressureIn(what, 4 * what.inclusionMs + beyond);
        assert.deepEqual([far.ceiling, far.near], [what.ordinary, false]);
        const close = pressureIn(what, what.inclusionMs - 1 - beyond);
        assert.equal(close.near, true);
        assert.equal(close.ceiling, close.top > what.ordinary ? close.top : what.ordinary);
      }),
    );
  });

  it("doubles evenly in between", () => {
    const what = { gas: 1n, worth: 1_024n, ordinary: 1n, unpriced: 7n, most: undefined, inclusionMs: 1_000 };
    const at = (left: number) => pressureIn(what, left).ceiling;
    assert.deepEqual([4_000, 3_999, 2_500, 1_272, 1_000].map(at), [1n, 1n, 32n, 1_024n, 1_024n]);
  });
});

const rules = {
  feeCeiling: () => 500n * gwei,
  urgentCeilings: () => ({ ordinary: 500n * gwei, unpriced: 10_000n * gwei }),
  inclusionMs: () => 60_000,
  outbids: (kind: string) => kind === "test.claim",
  patient: (kind: string) => kind === "test.refund",
};
const nowAt = (left: number) => Number(by) * 1_000 - left;
const flightAt = (nonce: number, overrides = {}) =>
  ({ nonce, included: undefined, intent: ringing("0x", BigInt(nonce), { gas: 300_000n, ...overrides }) }) as Flight;
const memoryOf = (...flights: Flight[]) => ({ flights: new Map(flights.map((each) => [each.nonce, each])) });
const rich = 10n ** 30n;

describe("a transaction that is in no block", () => {
  /** Offers block by block, the first at what the market asks, until so many milliseconds are left. */
  function offers(intent: Flight["intent"], fresh: Fees, blockMs: number, until: number): Fees[] {
    const flight = { ...flightAt(0), intent };
    const made = [fresh];
    for (let left = 240_000 - blockMs; left >= until; left -= blockMs) {
      const bounds = boundsAt(flight, memoryOf(flight), rules, nowAt(left));
      const market = { nextBaseFee: fresh.maxFeePerGas / 2n, high: fresh.maxFeePerGas / 2n + 1n };
      const next = nextPrice(made.at(-1) ?? fresh, { ...fresh, market }, { ...bounds, payable: rich });
      if ("fees" in next) made.push(next.fees);
    }
    return made;
  }

  it("offers all that its effect is worth when one bound on inclusion is left, by steps of three times at most", () => {
    const fee = fc.bigInt({ min: gwei, max: 200n * gwei });
    const worths = fc.bigInt({ min: coin, max: 1_000n * coin });
    fc.assert(
      fc.property(fee, worths, (maxFeePerGas, worth) => {
        const fresh = { maxFeePerGas, maxPriorityFeePerGas: gwei / 10n };
        const made = offers({ ...flightAt(0).intent, urgency: { by, worth } }, fresh, 12_000, 60_000);
        const fees = made.map((each) => each.maxFeePerGas);
        const top = worth / 300_000n;
        // The last step may be too small for nodes to take.
        assert.ok((fees.at(-1) ?? 0n) * 9n > top * 8n, `${fees.at(-1)} of ${top}`);
        for (const [index, each] of fees.entries()) {
          assert.ok(each <= top);
          assert.ok(index === 0 || each <= 3n * (fees[index - 1] ?? 0n));
        }
      }),
    );
  });

  it("is not outbid beyond its worth where that is less than the ordinary ceiling", () => {
    const fresh = { maxFeePerGas: 20n * gwei, maxPriorityFeePerGas: gwei };
    const intent = { ...flightAt(0).intent, urgency: { by, worth: 300_000n * 100n * gwei } };
    const made = offers(intent, fresh, 12_000, -600_000);
    assert.ok(made.every(({ maxFeePerGas }) => maxFeePerGas <= 100n * gwei));
    assert.ok((made.at(-1)?.maxFeePerGas ?? 0n) > 85n * gwei);
  });

  it("stays at the market while its deadline is far", () => {
    const old = { maxFeePerGas: 20n * gwei, maxPriorityFeePerGas: gwei };
    const fresh = { ...old, market: { nextBaseFee: 9n * gwei, high: 10n * gwei } };
    const intent = { ...flightAt(0).intent, kind: "test.claim", urgency: { by, worth: 100n * coin } };
    const far = nextPrice(old, fresh, { ...boundsOf(intent, rules, nowAt(240_000)), payable: rich });
    assert.equal("waiting" in far && far.waiting.code, "inclusion-stalled");
    const near = nextPrice(old, fresh, { ...boundsOf(intent, rules, nowAt(150_000)), payable: rich });
    assert.ok("fees" in near);
  });

  it("offers no more than the account can pay", () => {
    const old = { maxFeePerGas: 20n * gwei, maxPriorityFeePerGas: gwei };
    const intent = { ...flightAt(0).intent, urgency: { by, worth: 100n * coin } };
    const bounds = boundsOf(intent, rules, nowAt(0));
    const next = nextPrice(old, old, { ...bounds, payable: 30n * gwei });
    assert.deepEqual("fees" in next && next.fees.maxFeePerGas, 30n * gwei);
    const short = nextPrice(old, old, { ...bounds, payable: 21n * gwei });
    assert.equal("waiting" in short && short.waiting.code, "balance-insufficient");
  });

  it("spends the worth of what waits for it over all that has to go before", () => {
    const first = flightAt(1, { gas: 700_000n, kind: "test.refund" });
    const urgent = flightAt(2, { urgency: { by, worth: 100n * coin } });
    const behind = flightAt(3);
    const memory = memoryOf(first, urgent, behind);
    for (const flight of [first, urgent]) {
      const { ceiling, patient } = boundsAt(flight, memory, rules, nowAt(0));
      assert.deepEqual([ceiling, patient], [(100n * coin) / 1_000_000n, false]);
    }
    assert.equal(boundsAt(behind, memory, rules, nowAt(0)).ceiling, 500n * gwei);
    const alone = memoryOf({ ...first, included: { hash: "0x", blockNumber: 1n, status: "success" } }, urgent);
    assert.equal(boundsAt(urgent, alone, rules, nowAt(0)).ceiling, (100n * coin) / 300_000n);
  });

  it("is pressing only near a deadline of its own", () => {
    const { intent } = flightAt(1, { urgency: { by } });
    assert.deepEqual(
      [isPressing(intent, rules, nowAt(240_000)), isPressing(intent, rules, nowAt(239_999))],
      [false, true],
    );
    assert.equal(isPressing({ ...flightAt(1).intent, notAfter: by }, rules, nowAt(0)), false);
  });
});

describe("a transaction that is in no hurry", () => {
  const fees = fc.record({ a: wei, b: wei }).map(({ a, b }) => ({ maxFeePerGas: a + b, maxPriorityFeePerGas: b }));
  const market = fc.record({ nextBaseFee: wei, high: wei });
  const { intent } = flightAt(1, { kind: "test.refund" });

  it("never offers more than the chain's estimate, nor than the ordinary ceiling", () => {
    fc.assert(
      fc.property(fees, fees, maybe(market), (old, now, asked) => {
        const fresh = { ...now, ...(asked && { market: asked }) };
        const next = nextPrice(old, fresh, { ...boundsOf(intent, rules, 0), payable: rich });
        if (!("fees" in next)) return;
        assert.ok(next.fees.maxFeePerGas <= now.maxFeePerGas && next.fees.maxFeePerGas <= 500n * gwei);
      }),
      { numRuns: 1_000 },
    );
  });

  it("follows the chain's estimate up to the ceiling, and otherwise says that it waits for cheaper gas", () => {
    const old = { maxFeePerGas: 20n * gwei, maxPriorityFeePerGas: gwei };
    const dearer = { maxFeePerGas: 40n * gwei, maxPriorityFeePerGas: gwei };
    const bounds = { ...boundsOf(intent, rules, 0), payable: rich };
    const followed = nextPrice(old, dearer, bounds);
    assert.equal("fees" in followed && followed.fees.maxFeePerGas, 40n * gwei);
    const waits = nextPrice(old, old, bounds);
    assert.ok(
      "waiting" in waits && waits.waiting.code === "gas-price-too-high" && /cheaper/.test(waits.waiting.detail),
    );
    assert.ok("fees" in nextPrice(old, old, { ...bounds, patient: false }), "who is in a hurry would offer more");
  });
});
