import assert from "node:assert/strict";
import { it } from "node:test";
import { LockstepError } from "#core/kernel/errors.ts";
import { forEachQueue } from "#test/support/queues.ts";
import { until } from "#test/support/until.ts";

await forEachQueue("jobs that are counted", (backend) => {
  it("are told by name: those that wait, run, and are tried again later", async () => {
    const { queue, another, close } = await backend.open();
    try {
      const job = (id: string, name: string) => ({ id, name, data: id });
      await queue.enqueue([job("a", "test.one"), job("b", "test.one"), job("c", "test.two")]);
      const names = ["test.one", "test.two", "test.none"];
      const idle = { waiting: 0, active: 0, delayed: 0 };
      assert.deepEqual(
        await queue.counts(names),
        new Map([
          ["test.one", { ...idle, waiting: 2 }],
          ["test.two", { ...idle, waiting: 1 }],
          ["test.none", idle],
        ]),
      );
      const release = Promise.withResolvers<void>();
      const worker = another();
      await worker.work({ "test.one": () => release.promise }, { concurrency: 1 });
      await until(async () => (await queue.counts(["test.one"])).get("test.one")?.active === 1);
      assert.deepEqual((await queue.counts(["test.one"])).get("test.one"), { ...idle, waiting: 1, active: 1 });
      const failing = async () => {
        throw new LockstepError("chain-unreachable", "it is away");
      };
      await worker.work({ "test.two": failing }, { concurrency: 1 });
      await until(async () => (await queue.counts(["test.two"])).get("test.two")?.delayed === 1);
      release.resolve();
      await until(async () => (await queue.counts(["test.one"])).get("test.one")?.waiting === 0);
    } finally {
      await close();
    }
  });
});
