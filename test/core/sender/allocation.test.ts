import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { allocate, type Load, type PoolKey } from "#core/sender/allocation.ts";

const accounts = ["a", "b", "c", "d"] as const;
const wei = fc.bigInt(0n, 50n);

const keys: fc.Arbitrary<PoolKey[]> = fc
  .array(fc.record({ pending: fc.nat(5), free: fc.option(wei, { nil: undefined }), fit: fc.boolean() }), {
    minLength: 1,
    maxLength: accounts.length,
  })
  .map((some) => some.map((key, index) => ({ account: accounts[index] ?? "", ...key })));
const loads: fc.Arbitrary<Load[]> = fc
  .array(fc.record({ subject: fc.constantFrom("x", "y", "z", "w"), cost: wei }), { maxLength: 12 })
  .map((some) => some.map((load, index) => ({ id: String(index), ...load })));
const held = fc
  .dictionary(fc.constantFrom("x", "y", "z", "w"), fc.constantFrom(...accounts))
  .map((places) => new Map(Object.entries(places)));

const subjectOf = (all: readonly Load[], id: string) => all.find((load) => load.id === id)?.subject ?? "";

describe("which account of a pool an intent goes to", () => {
  it("is one of them for each intent, and one for all intents of a subject", () => {
    fc.assert(
      fc.property(keys, held, loads, (pool, places, wanted) => {
        const chosen = allocate(pool, places, wanted);
        assert.deepEqual(
          [...chosen.keys()],
          wanted.map(({ id }) => id),
        );
        const known = new Set(pool.map(({ account }) => account));
        for (const account of chosen.values()) assert.ok(known.has(account));
        const bySubject = Map.groupBy(chosen, ([id]) => subjectOf(wanted, id));
        for (const [subject, all] of bySubject) {
          assert.equal(new Set(all.map(([, account]) => account)).size, 1);
          const place = places.get(subject);
          if (place !== undefined && known.has(place)) assert.ok(all.every(([, account]) => account === place));
        }
      }),
    );
  });

  it("is never an unfit one, nor one that cannot pay, while another would do for a new subject", () => {
    fc.assert(
      fc.property(keys, wei, (pool, cost) => {
        const account = allocate(pool, new Map(), [{ id: "1", subject: "x", cost }]).get("1");
        const chosen = pool.find((key) => key.account === account);
        const canPay = ({ free }: PoolKey) => free === undefined || free >= cost;
        assert.ok(chosen);
        if (pool.some((key) => key.fit)) assert.ok(chosen.fit);
        const good = pool.filter((key) => key.fit && canPay(key));
        if (good.length === 0) return;
        assert.ok(canPay(chosen));
        assert.ok(
          good.every(({ pending }) => pending >= chosen.pending),
          "the one with the least pending",
        );
      }),
    );
  });

  it("never spends more than an account has while others could pay", () => {
    fc.assert(
      fc.property(fc.array(wei, { maxLength: 20 }), fc.array(wei, { minLength: 2, maxLength: 4 }), (costs, funds) => {
        const pool = funds.map((free, index) => ({ account: accounts[index] ?? "", pending: 0, free, fit: true }));
        const wanted = costs.map((cost, index) => ({ id: String(index), subject: String(index), cost }));
        const left = new Map(pool.map(({ account, free }) => [account, free]));
        for (const [id, account] of allocate(pool, new Map(), wanted)) {
          const cost = costs[Number(id)] ?? 0n;
          if ((left.get(account) ?? 0n) < cost) assert.ok([...left.values()].every((free) => free < cost));
          left.set(account, (left.get(account) ?? 0n) - cost);
        }
      }),
    );
  });

  it("spreads subjects evenly", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 4 }), fc.nat(40), (size, count) => {
        const pool = accounts.slice(0, size).map((account) => ({ account, pending: 0, free: undefined, fit: true }));
        const wanted = Array.from({ length: count }, (_, index) => ({ id: `${index}`, subject: `${index}`, cost: 1n }));
        const counts = new Map<string, number>(pool.map(({ account }) => [account, 0]));
        for (const account of allocate(pool, new Map(), wanted).values()) {
          counts.set(account, (counts.get(account) ?? 0) + 1);
        }
        assert.ok(Math.max(...counts.values()) - Math.min(...counts.values()) <= 1);
      }),
    );
  });
});
