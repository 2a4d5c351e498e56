import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { it } from "node:test";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { Json } from "#core/kernel/json.ts";
import { createQueue } from "#core/queue/bullQueue.ts";
import { quietLog } from "#test/support/databases.ts";
import { forEachQueue, type OpenQueue } from "#test/support/queues.ts";
import { until } from "#test/support/until.ts";

const job = (id: string, data: Json = null) => ({
  id,
  name: "test.job",
  data,
});

await forEachQueue("work queue", (backend) => {
  const withQueue = async (work: (opened: OpenQueue) => Promise<void>) => {
    const opened = await backend.open();
    try {
      await work(opened);
    } finally {
      await opened.close();
    }
  };

  it("hands every job to a handler of its name, with its data, from any process", () =>
    withQueue(async ({ queue, another }) => {
      const values: Json[] = [null, 0, "text", ["a", 1], { nested: { deep: true } }];
      const seen: unknown[] = [];
      const worker = another();
      await worker.work({ "test.job": async (data) => void seen.push(data) }, { concurrency: 1 });
      await queue.enqueue(values.map((data, index) => job(`id-${index}`, data)));
      await queue.enqueue([{ id: "x", name: "test.other", data: "not for it" }]);
      await until(() => seen.length === values.length);
      assert.deepEqual(seen, values);
      await worker.work({ "test.other": async (data) => void seen.push(data) }, { concurrency: 1 });
      await until(() => seen.includes("not for it"));
    }));

  it("works in no other database than the one that is named", () =>
    withQueue(async ({ deps }) => {
      if (!("redisUrl" in deps)) return;
      const queue = createQueue({ ...deps, redisUrl: `${deps.redisUrl}/9999`, log: quietLog });
      try {
        await assert.rejects(queue.enqueue([job("a")]), (error: unknown) => isLockstepError(error, "config-invalid"));
      } finally {
        await queue.close();
      }
    }));

  it("takes ids of any form and keeps different ones apart", () =>
    withQueue(async ({ queue }) => {
      const ids = ["1", "01", "a:b", "a%3Ab", "a:b:c:d", "-1", "é", "a/b c", "x".repeat(200)];
      await queue.enqueue(ids.map((id) => job(id, id)));
      const seen: unknown[] = [];
      await queue.work({ "test.job": async (data) => void seen.push(data) }, { concurrency: 4 });
      await until(() => seen.length === ids.length);
      assert.deepEqual(new Set(seen), new Set(ids));
    }));

  it("queues an id once while it waits or runs, and again once it has finished", () =>
    withQueue(async ({ queue }) => {
      const seen: unknown[] = [];
      await queue.enqueue([job("a", 1), job("a", 2)]);
      await queue.enqueue([job("a", 3)]);
      const release = Promise.withResolvers<void>();
      const handler = async (data: unknown) => {
        seen.push(data);
        await release.promise;
      };
      await queue.work({ "test.job": handler }, { concurrency: 4 });
      await until(() => seen.length === 1);
      await queue.enqueue([job("a", 4), job("b", 5)]);
      await until(() => seen.includes(5));
      release.resolve();
      await until(async () => {
        await queue.enqueue([job("a", 6)]);
        return seen.includes(6);
      });
      assert.deepEqual(new Set(seen), new Set([1, 5, 6]));
    }));

  it("tries again with growing delays until it succeeds, and gives up on what is not retryable, freeing the id", () =>
    withQueue(async ({ queue }) => {
      const at: number[] = [];
      let hopeless = 0;
      await queue.work(
        {
          "test.job": async () => {
            at.push(Date.now());
            if (at.length < 4) throw new Error("not yet");
          },
          "test.hopeless": async () => {
            hopeless += 1;
            throw new LockstepError("config-invalid", "never");
          },
        },
        { concurrency: 2 },
      );
      await queue.enqueue([job("a"), { id: "h", name: "test.hopeless", data: null }]);
      await until(() => at.length === 4);
      const delays = at.slice(1).map((time, index) => time - (at[index] ?? 0));
      assert.ok((delays[0] ?? 0) >= 9 && (delays[2] ?? 0) >= 39, `delays ${delays.join(", ")}`);
      assert.equal(hopeless, 1);
      await until(async () => {
        await queue.enqueue([{ id: "h", name: "test.hopeless", data: null }]);
        return hopeless >= 2;
      });
    }));

  it("waits for the running job when it closes, and leaves the rest to others", () =>
    withQueue(async ({ queue, another }) => {
      const worker = another();
      const release = Promise.withResolvers<void>();
      const done: unknown[] = [];
      let started = 0;
      const handler = async (data: unknown) => {
        started += 1;
        await release.promise;
        done.push(data);
      };
      await queue.enqueue([job("a", "a"), job("b", "b")]);
      await worker.work({ "test.job": handler }, { concurrency: 1 });
      await until(() => started === 1);
      const closed = worker.close().then(() => done.slice());
      release.resolve();
      assert.deepEqual(await closed, ["a"]);
      await queue.work({ "test.job": handler }, { concurrency: 1 });
      await until(() => done.includes("b"));
      assert.deepEqual(done, ["a", "b"]);
    }));

  it("gives a job to another worker when the process that ran it was killed", () =>
    withQueue(async ({ queue, deps }) => {
      const script = `
import { createQueue } from "#core/queue/bullQueue.ts";
        import { createLog } from "#core/observe/log.ts";
        const log = createLog({ level: "silent", name: "worker" });
        const queue = createQueue({ ...JSON.parse(process.argv[1]), log });
        const taken = () => { console.log("taken"); return new Promise((resolve) => setTimeout(resolve, 1e6)); };
        await queue.work({ "test.job": taken }, { concurrency: 1 });`;
      const worker = spawn(process.execPath, ["--input-type=module", "-e", script, JSON.stringify(deps)], {
        cwd: new URL("../../..", import.meta.url),
        stdio: ["ignore", "pipe", "inherit"],
      });
      const taken = new Promise((resolve, reject) => {
        worker.stdout.once("data", resolve);
        worker.once("exit", () => reject(new Error("the worker ended by itself")));
      });
      await queue.enqueue([job("a", "again")]);
      await taken;
      worker.kill("SIGKILL");
      const seen: unknown[] = [];
      await queue.work({ "test.job": async (data) => void seen.push(data) }, { concurrency: 1 });
      await until(() => seen.length === 1);
      assert.deepEqual(seen, ["again"]);
    }));

  it("goes on working after everything in it was thrown away", () =>
    withQueue(async ({ queue, empty }) => {
      const seen: unknown[] = [];
      const release = Promise.withResolvers<void>();
      const handler = async (data: unknown) => {
        seen.push(data);
        if (data === 1) await release.promise;
      };
      await queue.work({ "test.job": handler }, { concurrency: 1 });
      await queue.enqueue([job("a", 1), job("b", 2)]);
      await until(() => seen.length === 1);
      await empty();
      release.resolve();
      await queue.enqueue([job("b", 3), job("c", 4)]);
      await until(() => seen.includes(3) && seen.includes(4));
      assert.ok(!seen.includes(2));
    }));
});

it("says when the queue cannot be reached", async () => {
  for (const away of [
    { redisUrl: "redis://127.0.0.1:1" },
    { connectionString: "postgres://postgres@127.0.0.1:1/none" },
  ]) {
    const queue = createQueue({ ...away, log: quietLog });
    await assert.rejects(queue.enqueue([job("a")]), (error) => isLockstepError(error, "queue-unreachable"));
    await queue.close();
  }
});
