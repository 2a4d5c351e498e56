import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Redis } from "ioredis";
import { rateLimitSchema } from "#core/config/limits.ts";
import { createHealthRoutes } from "#core/http/health.ts";
import type { Buckets } from "#core/http/rate/buckets.ts";
import { withFallback } from "#core/http/rate/fallback.ts";
import { limitAddresses, limitCallers } from "#core/http/rate/limitRate.ts";
import { createMemoryBuckets } from "#core/http/rate/memory.ts";
import { createRedisBuckets } from "#core/http/rate/redis.ts";
import { createHttpServer } from "#core/http/server.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { quietLog } from "#test/support/databases.ts";
import { redisAnswers, redisUrl } from "#test/support/queues.ts";
import { createVirtualClock, type VirtualClock } from "#test/support/virtualClock.ts";

const start = 1_700_000_000_000;

type Open = (clock: VirtualClock) => { buckets: Buckets; close(): Promise<void> };

/** A bucket as one draws it: so much in it, so much flows in, a request takes one token out. Whole microseconds. */
function createModel({ perMinute, burst }: { perMinute: number; burst: number }) {
  const token = Math.ceil(60_000_000 / perMinute);
  let level = burst * token;
  return {
    pass: (ms: number) => {
      level = Math.min(level + ms * 1_000, burst * token);
    },
    take() {
      const isAllowed = level >= token;
      if (isAllowed) level -= token;
      return { isAllowed, remaining: Math.floor(level / token), fullInMs: (burst * token - level) / 1_000 };
    },
  };
}

function conformance(open: Open): void {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ take: fc.constantFrom("a", "b") }) },
    { weight: 1, arbitrary: fc.record({ pass: fc.oneof(fc.nat(200), fc.nat(100_000)) }) },
  );
  const policy = fc.record({ perMinute: fc.integer({ min: 1, max: 100_000 }), burst: fc.integer({ min: 1, max: 6 }) });

  it("allows what a bucket with so much in it would", async () => {
    await fc.assert(
      fc.asyncProperty(policy, fc.array(step, { maxLength: 40 }), async (limits, steps) => {
        const clock = createVirtualClock(start);
        const { buckets, close } = open(clock);
        const models = { a: createModel(limits), b: createModel(limits) };
        try {
          for (const each of steps) {
            if ("pass" in each) {
              clock.advance(each.pass);
              for (const model of Object.values(models)) model.pass(each.pass);
              continue;
            }
            const taken = await buckets.take(each.take, limits);
            const { retryAfterMs, ...rest } = taken;
            assert.deepEqual(rest, models[each.take as "a"].take());
            assert.equal(retryAfterMs > 0, taken.remaining === 0);
          }
        } finally {
          await close();
        }
      }),
      { numRuns: 60 },
    );
  });

  it("has a token again after as long as it says, and not before", async () => {
    const clock = createVirtualClock(start);
    const { buckets, close } = open(clock);
    const limits = { perMinute: 1_000, burst: 200 };
    const all = await Promise.all(Array.from({ length: 250 }, () => buckets.take("a", limits)));
    assert.equal(all.filter(({ isAllowed }) => isAllowed).length, 200);
    const { retryAfterMs } = await buckets.take("a", limits);
    clock.advance(retryAfterMs - 1);
    assert.equal((await buckets.take("a", limits)).isAllowed, false);
    clock.advance(1);
    assert.equal((await buckets.take("a", limits)).isAllowed, true);
    await close();
  });
}

describe("rate limits in memory", () => {
  conformance((clock) => ({ buckets: createMemoryBuckets({ clock }), close: async () => undefined }));

  it("hold a bounded number of buckets, and forget those first that were used longest ago", async () => {
    const clock = createVirtualClock(start);
    const buckets = createMemoryBuckets({ clock, most: 100 });
    const limits = { perMinute: 1, burst: 1 };
    await buckets.take("first", limits);
    for (let index = 0; index < 90; index++) await buckets.take(`address ${index}`, limits);
    assert.equal((await buckets.take("first", limits)).isAllowed, false);
    for (let index = 90; index < 150; index++) await buckets.take(`address ${index}`, limits);
    assert.equal((await buckets.take("first", limits)).isAllowed, false, "it was used of late");
    assert.equal((await buckets.take("address 0", limits)).isAllowed, true, "what is forgotten starts anew");
  });
});

const answers = await redisAnswers();
describe("rate limits on redis", { skip: !answers && "no Redis at 127.0.0.1:6379" }, () => {
  const redis = new Redis(redisUrl, { lazyConnect: true });
  const opened = (clock?: VirtualClock) => {
    const prefix = `lockstep_test_${randomBytes(6).toString("hex")}`;
    const buckets = createRedisBuckets({
      url: redisUrl,
      prefix,
      log: quietLog,
      patienceMs: 5_000,
      ...(clock && { clock }),
    });
    const close = async () => {
      await buckets.close();
      const keys = await redis.keys(`${prefix}*`);
      if (keys.length > 0) await redis.del(...keys);
    };
    return { buckets, close };
  };
  const settled = (buckets: Buckets): Buckets => ({
    async take(key, policy) {
      for (;;) {
        try {
          return await buckets.take(key, policy);
        } catch (error) {
          // The connection is being made.
          if (!/writeable|enableOfflineQueue/.test(String(error))) throw error;
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
    },
  });
  conformance((clock) => {
    const { buckets, close } = opened(clock);
    return { buckets: settled(buckets), close };
  });

  it("are shared by processes, by the server's time", async () => {
    const [one] = [opened()];
    const two = settled(one.buckets);
    const limits = { perMinute: 1, burst: 3 };
    const taken = await Promise.all(Array.from({ length: 6 }, () => two.take("a", limits)));
    assert.equal(taken.filter(({ isAllowed }) => isAllowed).length, 3);
    await one.close();
    redis.disconnect();
  });
});

describe("rate limits whose Redis is away", () => {
  it("are those of the process, after a bounded wait, until it answers again", async () => {
    const clock = createVirtualClock(start);
    const own = createMemoryBuckets({ clock });
    let asked = 0;
    let isAway = true;
    const shared: Buckets = {
      async take() {
        asked += 1;
        if (isAway) throw new Error("away");
        return { isAllowed: true, remaining: 7, retryAfterMs: 0, fullInMs: 0 };
      },
    };
    const buckets = withFallback({ shared, own, clock, log: quietLog });
    const limits = { perMinute: 1, burst: 2 };
    const took = async () => (await buckets.take("a", limits)).isAllowed;
    assert.deepEqual([await took(), await took(), await took(), asked], [true, true, false, 1]);
    clock.advance(1_000);
    isAway = false;
    assert.deepEqual([await took(), await took(), asked], [true, true, 3]);
  });

  it("do not wait for one that takes the connection and says nothing", async () => {
    const silent = createServer(() => undefined).listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const { port } = silent.address() as { port: number };
    const shared = createRedisBuckets({ url: `redis://127.0.0.1:${port}`, prefix: "p", log: quietLog, patienceMs: 20 });
    const own = createMemoryBuckets({ clock: systemClock });
    const buckets = withFallback({ shared, own, clock: systemClock, log: quietLog });
    assert.equal((await buckets.take("a", { perMinute: 1, burst: 1 })).isAllowed, true);
    assert.equal((await buckets.take("a", { perMinute: 1, burst: 1 })).isAllowed, false);
    await shared.close();
    silent.close();
  });
});

describe("requests beyond a rate limit", () => {
  const config = rateLimitSchema.parse({ caller: { perMinute: 60, burst: 2 }, address: { perMinute: 60, burst: 4 } });

  async function open(trustProxy: readonly string[] = [], now = () => config) {
    const clock = createVirtualClock(start);
    const app = await createHttpServer({ log: quietLog, title: "t", version: "1", description: "d", trustProxy });
    const buckets = createMemoryBuckets({ clock });
    limitAddresses(app, { buckets, config: now });
    app.addHook("onRequest", async (request) => {
      if (request.headers.authorization === undefined) throw new LockstepError("unauthorized", "who is it?");
      request.caller = { id: request.headers.authorization, role: "viewer" };
    });
    limitCallers(app, { buckets, config: now });
    await createHealthRoutes(() => [])(app);
    app.get("/v1/thing", { config: { access: "viewer" } }, async () => ({}));
    const ask = (headers: Record<string, string>, remoteAddress = "192.0.2.1", url = "/v1/thing") =>
      app.inject({ url, headers, remoteAddress });
    return { app, ask, clock };
  }

  it("are refused by caller and by address, and say when to come again", async () => {
    const { app, ask, clock } = await open();
    const first = await ask({ authorization: "alice" });
    assert.equal(first.headers["ratelimit-policy"], '"caller";q=2;w=2');
    assert.equal(first.headers.ratelimit, '"caller";r=1;t=1');
    await ask({ authorization: "alice" });
    const third = await ask({ authorization: "alice" }, "192.0.2.2");
    assert.deepEqual([third.statusCode, third.json().code, third.headers["retry-after"]], [429, "rate-limited", "1"]);
    assert.equal((await ask({ authorization: "bob" })).statusCode, 200);
    clock.advance(1_000);
    assert.equal((await ask({ authorization: "alice" }, "192.0.2.2")).statusCode, 200);
    await app.close();
  });

  it("are none any more once the limit was raised, however much of the lower one was used", async () => {
    const address = { perMinute: 60_000, burst: 100 };
    let now = rateLimitSchema.parse({ caller: { perMinute: 1, burst: 10 }, address });
    const { app, ask } = await open([], () => now);
    const asked = async () => (await ask({ authorization: "alice" })).statusCode;
    for (let time = 0; time < 10; time++) assert.equal(await asked(), 200);
    assert.equal(await asked(), 429);
    now = rateLimitSchema.parse({ caller: { perMinute: 1_000, burst: 200 }, address });
    const { statusCode, headers } = await ask({ authorization: "alice" });
    assert.deepEqual([statusCode, headers["ratelimit-policy"]], [200, '"caller";q=200;w=12']);
    await app.close();
  });

  it("are refused to an address that guesses, and to its whole network where that is IPv6; not for health", async () => {
    const { app, ask } = await open();
    for (let guess = 0; guess < 4; guess++) assert.equal((await ask({}, `2001:db8::${guess + 1}`)).statusCode, 401);
    assert.equal((await ask({}, "2001:db8::99")).statusCode, 429);
    assert.equal((await ask({ authorization: "alice" }, "2001:db8::99")).statusCode, 429);
    assert.equal((await ask({}, "2001:db8:0:1::1")).statusCode, 401);
    for (let time = 0; time < 10; time++) {
      const health = await ask({ authorization: "x" }, "2001:db8::99", "/health/live");
      assert.notEqual(health.json().details?.limit, "address");
    }
    await app.close();
  });

  it("cannot get another address by claiming one, unless a trusted proxy does", async () => {
    const spoof = async (trusted: readonly string[]) => {
      const { app, ask } = await open(trusted);
      const answers = [];
      for (let time = 0; time < 6; time++)
        answers.push((await ask({ "x-forwarded-for": `198.51.100.${time}` })).statusCode);
      await app.close();
      return answers.includes(429);
    };
    assert.deepEqual([await spoof([]), await spoof(["192.0.2.1"])], [true, false]);
  });
});
