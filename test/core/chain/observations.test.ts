import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { Block } from "#core/chain/chain.ts";
import { createHeadTimes } from "#core/chain/headTimes.ts";
import { createObservations, presentBounds } from "#core/chain/observations.ts";
import { createVirtualClock } from "../../support/virtualClock.ts";

const start = 1_800_000_000_000;
const hour = 3_600_000;

describe("what is observed of a chain", () => {
  it("is nothing to begin with, and apart from other chains", () => {
    const observed = createObservations(createVirtualClock(start));
    assert.deepEqual(observed.of("alpha"), {});
    observed.included("alpha", 1_500);
    observed.headArrived("beta", -2_000);
    assert.deepEqual([observed.of("alpha"), observed.of("beta")], [{ inclusionSeconds: 1.5 }, { skewSeconds: 2 }]);
  });

  it("is the largest of a few, and of many what nineteen of twenty stay under", () => {
    const observed = createObservations(createVirtualClock(start));
    for (let n = 0; n < 18; n++) observed.included("alpha", 1_000);
    observed.included("alpha", 60_000);
    assert.equal(observed.of("alpha").inclusionSeconds, 60);
    observed.included("alpha", 2_000);
    assert.equal(observed.of("alpha").inclusionSeconds, 2);
  });

  it("is forgotten after an hour, or after a hundred more", () => {
    const clock = createVirtualClock(start);
    const observed = createObservations(clock);
    observed.included("alpha", 9_000);
    clock.advance(hour - 1);
    assert.equal(observed.of("alpha").inclusionSeconds, 9);
    clock.advance(1);
    assert.deepEqual(observed.of("alpha"), {});
    for (let n = 0; n < 20; n++) observed.headArrived("alpha", 50_000);
    for (let n = 0; n < 100; n++) observed.headArrived("alpha", 1_000);
    assert.equal(observed.of("alpha").skewSeconds, 1);
  });
});

describe("bounds that count now", () => {
  const seconds = fc.double({ min: 0, max: 1_000, noNaN: true });
  const bounds = fc.record({ inclusionSeconds: seconds, outageSeconds: seconds, skewSeconds: seconds });
  const observed = fc.record({ inclusionSeconds: seconds, skewSeconds: seconds }, { requiredKeys: [] });

  it("are never under those configured, nor under what was observed unless that is a fault", () => {
    fc.assert(
      fc.property(bounds, observed, (configured, seen) => {
        const now = presentBounds(configured, seen);
        assert.ok(now.inclusionSeconds >= configured.inclusionSeconds && now.skewSeconds >= configured.skewSeconds);
        assert.ok(now.inclusionSeconds + configured.outageSeconds >= (seen.inclusionSeconds ?? 0) - 1e-9);
        assert.ok(now.isOff || Math.ceil(now.skewSeconds) >= Math.floor(seen.skewSeconds ?? 0));
        assert.ok(now.skewSeconds <= 2 * configured.skewSeconds || now.skewSeconds === configured.skewSeconds);
      }),
    );
  });

  it("do not run away with a chain whose time does", () => {
    const configured = { inclusionSeconds: 10, outageSeconds: 100, skewSeconds: 5 };
    const skews = [4, 8, 10, 11, 500].map((skewSeconds) => {
      const now = presentBounds(configured, { skewSeconds });
      return [now.skewSeconds, now.isOff];
    });
    assert.deepEqual(skews, [
      [5, false],
      [8, false],
      [10, false],
      [10, true],
      [10, true],
    ]);
  });

  it("do not count an outage twice that is allowed for", () => {
    const configured = { inclusionSeconds: 10, outageSeconds: 100, skewSeconds: 5 };
    const inclusions = [110, 111, 700].map((inclusionSeconds) => presentBounds(configured, { inclusionSeconds }));
    assert.deepEqual(
      inclusions.map(({ inclusionSeconds }) => inclusionSeconds),
      [10, 11, 600],
    );
  });
});

describe("the time of new heads", () => {
  const at = start / 1_000;
  function watched() {
    const clock = createVirtualClock(start);
    const offsets: number[] = [];
    const see = createHeadTimes({ clock, onOffset: (ms) => offsets.push(ms) });
    const head = (number: bigint, timestamp: number) =>
      see({ number, timestamp: BigInt(timestamp), hash: "0x", parentHash: "0x" } satisfies Block);
    return { clock, offsets, head, see };
  }

  it("says nothing of the head that was there at the first look, nor of one that is seen again", () => {
    const { clock, offsets, head, see } = watched();
    head(7n, at - 9_000);
    clock.advance(60_000);
    head(7n, at - 9_000);
    head(6n, at + 500);
    see(undefined);
    assert.deepEqual(offsets, []);
  });

  it("is off by nothing as long as the block may have come right then", () => {
    const { clock, offsets, head } = watched();
    head(1n, at - 100);
    clock.advance(30_000);
    head(2n, at + 12);
    clock.advance(400);
    head(3n, at + 30);
    assert.deepEqual(offsets, [0, 0]);
  });

  it("is ahead of the look that found it, or behind the look before", () => {
    const { clock, offsets, head } = watched();
    head(1n, at);
    clock.advance(1_000);
    head(2n, at + 6);
    clock.advance(1_000);
    head(3n, at - 4);
    clock.advance(500_000);
    head(9n, at + 2);
    assert.deepEqual(offsets, [5_000, -4_001, 0]);
  });
});
