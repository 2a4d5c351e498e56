import assert from "node:assert/strict";
import { it } from "node:test";
import type { IndexedBlock } from "#core/indexer/observer.ts";
import { createSwapObserver } from "#swap/observer.ts";
import { phaseOf } from "#swap/swap.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import { hexOf, started } from "#test/swap/samples.ts";
import { batchBlock, batchOf, blockWith, swapWorld } from "#test/swap/support.ts";

await onDatabase("the swap observer", (backend) => {
  const inWorld = (work: (world: Awaited<ReturnType<typeof openWorld>>) => Promise<void>) => () =>
    withDatabase(backend, async (database) => work(await openWorld(database)));

  async function openWorld(database: Parameters<typeof swapWorld>[0]) {
    const world = await swapWorld(database);
    const observer = createSwapObserver(world);
    return {
      ...world,
      observer,
      include: (chain: string, ...blocks: IndexedBlock[]) => world.db.tx((tx) => observer.included(tx, chain, blocks)),
      reorg: (chain: string, ancestor: bigint, deep = false) =>
        world.db.tx((tx) => observer.reorged(tx, chain, ancestor, deep)),
      finalize: (chain: string, height: bigint) => world.db.tx((tx) => observer.finalized(tx, chain, height)),
    };
  }

  it(
    "follows a leg from its lock to the final claim, with the published secret",
    inWorld(async ({ include, finalize, swap }) => {
      await include("alpha", blockWith(10n, "Locked", "source"));
      assert.equal(phaseOf((await swap()).legs.source), "detected");
      await finalize("alpha", 9n);
      assert.equal(phaseOf((await swap()).legs.source), "detected");
      await finalize("alpha", 10n);
      assert.equal(phaseOf((await swap()).legs.source), "locked");
      await include("alpha", blockWith(12n, "Claimed", "source"));
      const claimed = (await swap()).legs.source;
      assert.deepEqual([phaseOf(claimed), claimed.end?.secret, claimed.endFinal], ["claimed", hexOf("9"), false]);
      await finalize("alpha", 12n);
      assert.equal((await swap()).legs.source.endFinal, true);
    }),
  );

  it(
    "takes back what was final when a chain dropped final blocks, and only then",
    inWorld(async ({ include, finalize, reorg, swap }) => {
      await include("alpha", blockWith(10n, "Locked", "source"));
      await finalize("alpha", 10n);
      await include("alpha", blockWith(12n, "Claimed", "source"));
      await finalize("alpha", 12n);
      await reorg("alpha", 11n);
      assert.equal((await swap()).legs.source.endFinal, true);
      await reorg("alpha", 11n, true);
      assert.equal(phaseOf((await swap()).legs.source), "locked");
      await reorg("alpha", 9n, true);
      assert.equal(phaseOf((await swap()).legs.source), "none");
      await include("alpha", blockWith(10n, "Locked", "source", "b"));
      await finalize("alpha", 11n);
      assert.equal(phaseOf((await swap()).legs.source), "locked");
    }),
  );

  it(
    "writes what it is shown twice once",
    inWorld(async ({ include, finalize, swap }) => {
      for (let i = 0; i < 2; i++) {
        await include("alpha", blockWith(10n, "Locked", "source"));
        await finalize("alpha", 10n);
        await include("alpha", blockWith(11n, "Refunded", "source"));
        await finalize("alpha", 11n);
      }
      assert.equal((await swap()).version, 5);
    }),
  );

  it(
    "ignores a lock of somebody else with the same hashlock, and believes no lock id on the wrong chain",
    inWorld(async ({ include, swap }) => {
      await include("alpha", blockWith(10n, "Locked", "foreign"));
      const wrong = { code: "chain-answer-invalid" };
      await assert.rejects(include("alpha", blockWith(11n, "Locked", "target")), wrong);
      await assert.rejects(include("beta", blockWith(10n, "Locked", "source")), wrong);
      assert.equal((await swap()).version, 1);
    }),
  );

  it(
    "finds a leg that a managed account locked in a batch which is not known, by its terms, with its claim",
    inWorld(async ({ include, swap }) => {
      const id = batchOf("target");
      await include("beta", batchBlock(10n, "target"));
      const { target } = (await swap()).terms;
      assert.deepEqual([target.lockId, target.batch], [id, { index: 0, leaves: [id] }]);
      assert.equal(phaseOf((await swap()).legs.target), "detected");
      await include("beta", batchBlock(10n, "target"));
      assert.equal((await swap()).version, 3);
      await include("beta", blockWith(11n, "Locked", "target"));
      assert.equal((await swap()).terms.target.lockId, id, "another lock of the terms is a gift");
    }),
  );

  it(
    "ignores the same log from another contract",
    inWorld(async ({ include, swap }) => {
      const block = blockWith(10n, "Locked", "source");
      const logs = block.logs.map((log) => ({ ...log, address: hexOf("d", 20) }));
      await include("alpha", { ...block, logs });
      assert.equal((await swap()).version, 1);
    }),
  );

  it(
    "takes nothing of an answer that shows a secret that does not fit",
    inWorld(async ({ include, swap }) => {
      await include("alpha", blockWith(10n, "Locked", "source"));
      const { block, logs } = blockWith(11n, "Claimed", "source");
      const lie = { block, logs: logs.map((log) => ({ ...log, data: hexOf("3") })) };
      await assert.rejects(include("alpha", lie), { code: "chain-answer-invalid" });
      assert.equal((await swap()).version, 2);
    }),
  );

  it(
    "takes back what a reorganisation removed, and nothing that is final",
    inWorld(async ({ include, reorg, finalize, swap }) => {
      await include("alpha", blockWith(10n, "Locked", "source"));
      await reorg("alpha", 9n);
      assert.equal(phaseOf((await swap()).legs.source), "none");
      await include("alpha", blockWith(10n, "Locked", "source", "b"));
      await finalize("alpha", 10n);
      await include("alpha", blockWith(11n, "Claimed", "source"));
      await reorg("alpha", 10n);
      assert.equal(phaseOf((await swap()).legs.source), "locked");
      await include("alpha", blockWith(12n, "Claimed", "source", "b"));
      await finalize("alpha", 12n);
      await reorg("alpha", 5n);
      const { source } = (await swap()).legs;
      assert.deepEqual([phaseOf(source), source.lockFinal, source.endFinal], ["claimed", true, true]);
    }),
  );

  it(
    "survives a reorganisation in which lock and claim of a leg are both undone",
    inWorld(async ({ include, reorg, append, swap }) => {
      await append(started("lock-source"));
      await include("alpha", blockWith(10n, "Locked", "source"), blockWith(11n, "Refunded", "source"));
      await reorg("alpha", 8n);
      const { source } = (await swap()).legs;
      assert.deepEqual([phaseOf(source), source.end], ["none", undefined]);
      await include("alpha", blockWith(9n, "Locked", "source", "b"));
      assert.equal(phaseOf((await swap()).legs.source), "detected");
    }),
  );
});
