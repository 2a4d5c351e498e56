import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createQueue } from "#core/queue/bullQueue.ts";
import { quietLog } from "#test/support/databases.ts";
import { hasProgram, startRedis } from "#test/support/servers.ts";
import { startTcpProxy, type TcpProxy } from "#test/support/tcpProxy.ts";
import { until } from "#test/support/until.ts";

const withoutRedis = !hasProgram("redis-server", "redis") && "there is no program redis-server";

describe("a work queue on Redis", { skip: withoutRedis }, () => {
  it("begins to work once its connections, which are lost at first, are there", { timeout: 60_000 }, async () => {
    const server = await startRedis();
    const proxy = await startTcpProxy({ host: "127.0.0.1", port: server.port });
    const queue = createQueue({ redisUrl: `redis://127.0.0.1:${proxy.port}`, prefix: "test", log: quietLog });
    const seen: unknown[] = [];
    try {
      await queue.enqueue([{ id: "1", name: "test.one", data: "one" }]);
      proxy.refuseNew();
      const working = queue.work({ "test.one": async (data) => void seen.push(data) }, { concurrency: 1 });
      // Of the two connections of a worker both are lost several times.
      await Promise.race([working, until(() => proxy.refused > 4, "connections that are lost")]);
      proxy.admit();
      await working;
      await until(() => seen.length > 0, "the job");
      assert.deepEqual(seen, ["one"]);
    } finally {
      await queue.close();
      await proxy.close();
      await server.stop();
    }
  });

  for (const [how, leave, come] of [
    ["is dead", (proxy) => proxy.refuse(), (proxy) => proxy.admit()],
    ["hangs", (proxy) => proxy.hang(), (proxy) => proxy.goOn()],
  ] as const satisfies [string, (proxy: TcpProxy) => void, (proxy: TcpProxy) => void][]) {
    it(`says so when Redis ${how}, and closes once what runs has ended`, { timeout: 60_000 }, async () => {
      const server = await startRedis();
      const proxy = await startTcpProxy({ host: "127.0.0.1", port: server.port });
      const redisUrl = `redis://127.0.0.1:${proxy.port}`;
      const queue = createQueue({ redisUrl, prefix: "test", log: quietLog });
      const release = Promise.withResolvers<void>();
      const told: string[] = [];
      try {
        await queue.assertAnswers();
        const handler = async () => {
          told.push("begun");
          await release.promise;
          told.push("ended");
        };
        await queue.work({ "test.one": handler, "test.idle": async () => undefined }, { concurrency: 2 });
        await queue.enqueue([{ id: "1", name: "test.one", data: "one" }]);
        await until(() => told.length === 1, "a job that runs");
        leave(proxy);
        await assert.rejects(queue.assertAnswers(), { code: "queue-unreachable" });
        const closed = queue.close().then(() => told.push("closed"));
        await new Promise((resolve) => setTimeout(resolve, 3_000));
        release.resolve();
        await closed;
        assert.deepEqual(told, ["begun", "ended", "closed"]);
      } finally {
        // What is left behind by a test that fails must not wait for ever.
        come(proxy);
        await queue.close();
        await proxy.close();
        await server.stop();
      }
    });
  }
});
