import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type EndpointHealth, markLag, quarantineMs, rank, reasonOf, stateOf } from "#core/chain/health.ts";

const well: EndpointHealth = {
  ...{ verified: true, foreign: false, open: false, strikes: 0, lagging: false },
  ...{ latencyMs: 10, lastGoodAt: 1 },
};
const endpoint = (name: string, changes: Partial<EndpointHealth> = {}) => ({ name, health: { ...well, ...changes } });
const order = (endpoints: ReturnType<typeof endpoint>[], current?: ReturnType<typeof endpoint>) =>
  rank(endpoints, current, 0).map(({ name }) => name);

describe("the rank of endpoints", () => {
  it("goes by what is worst about each", () => {
    const endpoints = [
      endpoint("excluded", { foreign: true, open: true }),
      endpoint("open", { open: true, lagging: true, reason: "timeout" }),
      endpoint("disagreeing", { disagreedAt: 0, lagging: true }),
      endpoint("lagging", { lagging: true, strikes: 1 }),
      endpoint("failing", { strikes: 1, reason: "connection" }),
      endpoint("healthy"),
    ];
    assert.deepEqual(order(endpoints), endpoints.map(({ name }) => name).toReversed());
    for (const { name, health } of endpoints) assert.equal(stateOf(health, 0), name);
    assert.deepEqual(
      endpoints.map(({ health }) => reasonOf(health, stateOf(health, 0))),
      ["wrong-chain", "timeout", "contradicts-majority", "head-behind", "connection", undefined],
    );
  });

  it("goes by latency among those that are well, and stays with the present one until another is much faster", () => {
    const slow = endpoint("slow", { latencyMs: 40 });
    const fast = endpoint("fast", { latencyMs: 30 });
    const fastest = endpoint("fastest", { latencyMs: 12 });
    assert.deepEqual(order([slow, fast, fastest]), ["fastest", "fast", "slow"]);
    assert.deepEqual(order([slow, fast], slow), ["slow", "fast"]);
    assert.deepEqual(order([slow, fastest], slow), ["fastest", "slow"]);
  });

  it("goes by the configuration while nothing is known", () => {
    const fresh = ["a", "b", "c"].map((name) => {
      const { latencyMs: _, lastGoodAt: __, ...health } = well;
      return { name, health };
    });
    assert.deepEqual(
      rank(fresh, fresh[0], 0).map(({ name }) => name),
      ["a", "b", "c"],
    );
  });

  it("trusts who contradicted the majority again after a while", () => {
    assert.equal(stateOf({ ...well, disagreedAt: 5 }, 5 + quarantineMs - 1), "disagreeing");
    assert.equal(stateOf({ ...well, disagreedAt: 5 }, 5 + quarantineMs), "healthy");
  });
});

describe("the lag of endpoints", () => {
  const lags = (heads: readonly bigint[], maxLag: bigint, votes: number) => {
    const seen = heads.map((head) => ({ head, health: { ...well } }));
    markLag(seen, maxLag, votes);
    return seen.map(({ health }) => health.lagging);
  };

  it("begins one block past what is allowed", () => {
    assert.deepEqual(lags([100n, 95n, 94n], 5n, 1), [false, false, true]);
    assert.deepEqual(lags([], 5n, 1), []);
  });

  it("is measured at the height that enough have named", () => {
    assert.deepEqual(lags([10n ** 9n, 100n, 99n], 5n, 1), [false, true, true]);
    assert.deepEqual(lags([10n ** 9n, 100n, 94n], 5n, 2), [false, false, true]);
    assert.deepEqual(lags([100n], 5n, 2), [false]);
  });
});
