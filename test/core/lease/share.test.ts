import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { shareOf } from "#core/lease/share.ts";

describe("shares of leases", () => {
  /** One contender looks, and does what it is told; answers whether anything changed. */
  function look(me: string, held: Map<string, number>, leases: number, slow?: ReadonlySet<string>): boolean {
    const { take, give } = shareOf(me, held, leases, slow);
    const mine = held.get(me) ?? 0;
    const free = leases - [...held.values()].reduce((sum, count) => sum + count, 0);
    const taken = Math.min(take, free);
    if (taken > 0) held.set(me, mine + taken);
    else if (give) held.set(me, mine - 1);
    return taken > 0 || give;
  }

  it("become even from anywhere, whoever looks when, and then stay as they are", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(6), { minLength: 1, maxLength: 5 }),
        fc.nat(6),
        fc.array(fc.nat(4), { minLength: 0, maxLength: 60 }),
        (start, free, order) => {
          const held = new Map(start.map((count, at) => [`c${at}`, count]));
          const leases = start.reduce((sum, count) => sum + count, free);
          const names = [...held.keys()];
          for (const at of order) look(names[at % names.length] ?? "", held, leases);
          for (let round = 0; round < 60; round++) for (const name of names) look(name, held, leases);
          const counts = [...held.values()];
          assert.equal(
            counts.reduce((sum, count) => sum + count, 0),
            leases,
            "nothing is left over",
          );
          assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, counts.join(","));
          for (const name of names) assert.ok(!look(name, held, leases), "nobody moves any more");
        },
      ),
    );
  });

  it("are half as many for who is slow, from anywhere, and then stay as they are", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ count: fc.nat(6), isSlow: fc.boolean() }), { minLength: 1, maxLength: 5 }),
        fc.nat(6),
        (start, free) => {
          const held = new Map(start.map(({ count }, at) => [`c${at}`, count]));
          const slow = new Set(start.flatMap(({ isSlow }, at) => (isSlow ? [`c${at}`] : [])));
          const leases = start.reduce((sum, { count }) => sum + count, free);
          for (let round = 0; round < 80; round++) for (const name of held.keys()) look(name, held, leases, slow);
          const all = [...held].map(([name, count]) => ({ count, weight: slow.has(name) ? 1 : 2 }));
          assert.equal(
            all.reduce((sum, { count }) => sum + count, 0),
            leases,
            "nothing is left over",
          );
          const whole = all.reduce((sum, { weight }) => sum + weight, 0);
          for (const { count, weight } of all) assert.ok(Math.abs(count - (leases * weight) / whole) < 2);
          for (const name of held.keys()) assert.ok(!look(name, held, leases, slow), "nobody moves any more");
        },
      ),
    );
  });
});
