import assert from "node:assert/strict";
import { it } from "node:test";
import { createIndexer } from "#core/indexer/createIndexer.ts";
import type { ChainObserver } from "#core/indexer/observer.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { onDatabase, quietLog, withDatabase } from "../../support/databases.ts";
import { until } from "../../support/until.ts";
import { createLongChain } from "./longChain.ts";
import { address } from "./modelChain.ts";
import { openIndexed } from "./support.ts";

const head = 100_000n;
const logEvery = 50n;
const logWindow = 5_000;

await onDatabase("catching up", (backend) => {
  it("with 100,000 blocks tells every log once, through a restart, and keeps no more blocks than a few windows' logs", () =>
    withDatabase({ name: backend.name, open: () => openIndexed(backend) }, async ({ db }) => {
      const long = createLongChain({ head, logEvery, finalityBlocks: 10n, widest: 2_000n });
      const told: bigint[] = [];
      let most = 0;
      const observer: ChainObserver = {
        addresses: () => [address],
        async included(tx, _chain, blocks) {
          const [row] = await tx.query<{ kept: number }>("SELECT count(*)::integer AS kept FROM indexer_block");
          most = Math.max(most, row?.kept ?? 0);
          told.push(...blocks.map(({ block }) => block.number));
        },
        reorged: () => Promise.reject(new Error("nothing reorganises here")),
        finalized: async () => undefined,
      };
      const config = { pollMs: 5, startBlock: 0, logWindow, recheckMs: 60_000 };
      const begin = () => {
        const deps = { chain: long.chain, config, db, observers: [observer], log: quietLog, clock: systemClock };
        const indexer = createIndexer(deps);
        indexer.start();
        return indexer;
      };
      let indexer = begin();
      try {
        await until(() => (indexer.status().indexed ?? 0n) > head / 2n, "half of it is read", 60_000);
        await indexer.stop();
        indexer = begin();
        await until(() => indexer.status().indexed === head, "all of it is read", 60_000);
        assert.equal(indexer.status().error, undefined);
      } finally {
        await indexer.stop();
      }
      assert.deepEqual(
        told,
        Array.from({ length: Number(head / logEvery) + 1 }, (_, n) => BigInt(n) * logEvery),
      );
      // Two of the configured windows with their logs, those that are read at the head, and what is final and kept.
      const bound = Number((3n * BigInt(logWindow)) / logEvery) + 150;
      assert.ok(most <= bound, `${most} blocks were kept, ${bound} at most were expected`);
      // The node names its limit once a start; requests grow no further.
      assert.ok(long.refusals() <= 2, `${long.refusals()} requests were refused`);
      assert.ok(long.requests() < 2_000 + 600, `${long.requests()} requests`);
    }));
});
