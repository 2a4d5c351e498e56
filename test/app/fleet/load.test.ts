import assert from "node:assert/strict";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import websocket from "@fastify/websocket";
import { statusFrom } from "#app/fleet/chainStatus.ts";
import { createLoad } from "#app/fleet/load.ts";
import { createSlowness } from "#app/fleet/slowness.ts";
import { createHttpServer } from "#core/http/server.ts";
import { createQueue } from "#core/queue/bullQueue.ts";
import { quietLog } from "#test/support/databases.ts";
import { forEachQueue } from "#test/support/queues.ts";
import { until } from "#test/support/until.ts";
import { createVirtualClock } from "#test/support/virtualClock.ts";

describe("the load of a process", () => {
  it("counts jobs under way by role, also those that fail", async () => {
    const load = createLoad({ clock: createVirtualClock(0) });
    const release = Promise.withResolvers<void>();
    const handlers = load.counted("relayer", {
      wait: () => release.promise,
      fail: () => Promise.reject(new Error("no")),
    });
    const running = handlers.wait?.(null);
    await assert.rejects(handlers.fail?.(null) ?? Promise.resolve());
    assert.deepEqual(load.measure().work, { relayer: 1 });
    release.resolve();
    await running;
    assert.deepEqual(load.measure().work, { relayer: 0 });
  });

  it("counts requests until they are answered, and streams and WebSockets until they end", async () => {
    const load = createLoad({ clock: createVirtualClock(0) });
    const app = await createHttpServer({ log: quietLog, title: "t", version: "1", description: "d" });
    const [begun, release] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const config = { access: "anyone" } as const;
    load.countRequests(app);
    await app.register(websocket);
    app.post("/slow", { config }, async () => {
      begun.resolve();
      await release.promise;
      return {};
    });
    app.get("/stream", { config }, (_request, reply) => {
      reply.hijack();
      reply.raw.writeHead(200).flushHeaders();
    });
    app.get("/socket", { config, websocket: true }, () => undefined);
    app.get(
      "/refused",
      { config, websocket: true, preHandler: () => Promise.reject(new Error("no")) },
      () => undefined,
    );
    await app.listen({ host: "127.0.0.1", port: 0 });
    const { port } = app.server.address() as AddressInfo;
    const url = (path: string) => `http://127.0.0.1:${port}${path}`;
    const underWay = () => load.measure().work.api;
    const is = (count: number) => until(() => underWay() === count, `${count} requests`);
    try {
      const headers = { "content-type": "application/json" };
      const answer = fetch(url("/slow"), { method: "POST", body: "{}", headers });
      await begun.promise;
      // By now what was read of the request has closed.
      await new Promise(setImmediate);
      assert.equal(underWay(), 1);
      const leaving = new AbortController();
      await fetch(url("/stream"), { signal: leaving.signal });
      const socket = new WebSocket(url("/socket"));
      await new Promise((resolve) => socket.addEventListener("open", resolve));
      const refused = new WebSocket(url("/refused"));
      await new Promise((resolve) => refused.addEventListener("error", resolve));
      await is(3);
      leaving.abort();
      await is(2);
      socket.close();
      await is(1);
      release.resolve();
      assert.equal((await answer).status, 200);
      await is(0);
    } finally {
      release.resolve();
      await app.close();
    }
  });

  const during = (slowness: ReturnType<typeof createSlowness>, busy: number, seconds: number, ms = 1_000) => {
    let isSlow = false;
    for (let passed = 0; passed < seconds * 1_000; passed += ms) isSlow = slowness.note({ ms, busyMs: busy * ms });
    return isSlow;
  };

  it("is too much once it has been for a while, and well once it has been for longer", () => {
    const slowness = createSlowness();
    assert.equal(during(slowness, 0.95, 29), false);
    assert.equal(during(slowness, 0.95, 1), true);
    assert.equal(during(slowness, 0.7, 240), true, "that is not well yet");
    assert.equal(during(slowness, 0.3, 14), true);
    assert.equal(during(slowness, 0.3, 2), false, "less than 0.6 of the last minute");
    assert.equal(during(slowness, 0.95, 29), false, "it begins anew");
    assert.equal(during(slowness, 0.95, 1), true);
  });

  it("is judged by time, however it is cut up", () => {
    const short = createSlowness();
    assert.equal(during(short, 0.95, 29), false);
    assert.equal(short.note({ ms: 10, busyMs: 0 }), false);
    assert.equal(during(short, 0.95, 1), true, "a moment's rest says nothing");
    const long = createSlowness();
    during(long, 0.95, 25);
    assert.equal(long.note({ ms: 5_000, busyMs: 0 }), false);
    assert.equal(during(long, 0.95, 25), false, "but five seconds of it do");
    for (const slowness of [short, long]) assert.equal(slowness.note({ ms: 0, busyMs: 0 }), slowness === short);
  });

  it("is forgotten as far as it is longer ago than counts", () => {
    const slowness = createSlowness();
    during(slowness, 0.1, 3_600);
    assert.equal(during(slowness, 1, 26), false);
    assert.equal(during(slowness, 1, 2), true);
  });
});

describe("what another process tells of a chain", () => {
  it("is passed over where it is of a version that tells it otherwise", () => {
    assert.equal(statusFrom({ chain: "alpha", state: "dreaming" }), undefined);
    assert.equal(statusFrom({}), undefined);
    assert.equal(statusFrom({ chain: "alpha", state: "running", head: "many" }), undefined);
    assert.equal(statusFrom({ chain: "alpha", state: "running", head: "7", newer: "x" })?.head, 7n);
  });
});

await forEachQueue("jobs and slow workers", (backend) => {
  it("go to whoever is free", async () => {
    const opened = await backend.open();
    const quick = createQueue({ ...opened.deps, log: quietLog });
    const done = { slow: 0, quick: 0 };
    const release = Promise.withResolvers<void>();
    try {
      const slowly = async () => {
        await release.promise;
        done.slow++;
      };
      await opened.queue.work({ "test.job": slowly }, { concurrency: 2 });
      const jobs = Array.from({ length: 40 }, (_, at) => ({ id: `job ${at}`, name: "test.job", data: at }));
      await opened.queue.enqueue(jobs);
      await quick.work({ "test.job": async () => void done.quick++ }, { concurrency: 2 });
      await until(() => done.quick === 38);
      release.resolve();
      await until(() => done.slow === 2);
    } finally {
      release.resolve();
      await quick.close();
      await opened.close();
    }
  });
});
