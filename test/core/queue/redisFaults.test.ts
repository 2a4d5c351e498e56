import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createQueue } from "#core/queue/bullQueue.ts";
import { quietLog } from "#test/support/databases.ts";
import { hasProgram, startRedis } from "#test/support/servers.ts";
import { startTcpProxy } from "#test/support/tcpProxy.ts";
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
});
