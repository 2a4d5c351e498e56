import assert from "node:assert/strict";
import { it } from "node:test";
import type { IndexedBlock } from "#core/indexer/observer.ts";
import { fixed } from "#core/kernel/live.ts";
import { createRecentContents } from "#relay/contents.ts";
import { createLanes, type RelayChain } from "#relay/lane.ts";
import { createRelayObserver } from "#relay/observer.ts";
import { attemptLog, block, laneOf, sendingBlock, sites, transactionOf } from "#test/relay/gatewayLogs.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import { inFolder, openWorld } from "./world.ts";

await onDatabase("chains that are read again after what they show was archived", (backend) => {
  it("bring nothing back and are not taken for others", () =>
    withDatabase(backend, (database) =>
      inFolder(async (folder) => {
        const world = await openWorld(database, folder);
        const { db, store } = world;
        const chains = fixed<RelayChain>(sites);
        const observer = createRelayObserver({
          ...{
            store,
            chains,
            lanes: createLanes({ chains }),
            contents: createRecentContents(),
            managed: new Set<never>(),
          },
          ...{ sender: { findByTransactions: async () => new Map() }, wake: () => undefined },
        });
        const samples = laneOf(["0x01", "0x02", "0x03"]);
        const sent = sendingBlock(block(5n), samples, transactionOf("send"));
        const at = block(6n);
        const attempts: IndexedBlock = {
          block: at,
          logs: samples.map((sample, index) =>
            attemptLog(sample, { at, transaction: transactionOf("deliver"), index }, "MessageExecuted"),
          ),
        };
        const show = () =>
          db.tx(async (tx) => {
            await observer.included(tx, "alpha", [sent]);
            await observer.included(tx, "beta", [attempts]);
          });
        await show();
        await db.tx((tx) => observer.finalized(tx, "alpha", 5n));
        await db.tx((tx) => observer.finalized(tx, "beta", 6n));
        await world.read();
        world.pass(121);
        assert.deepEqual((await world.archiver().run()).items, { message: 2 });
        const counts = async () => ({
          events: await world.count("events"),
          messages: await world.count("relay_messages"),
          orphans: await world.count("relay_orphans"),
        });
        const before = await counts();
        await show();
        assert.deepEqual(await counts(), before);
        for (const { id } of samples) assert.equal((await world.message(id))?.status, "delivered");
        const other = laneOf(["0x01", "0x04", "0x03"]);
        const changed = db.tx((tx) =>
          observer.included(tx, "alpha", [sendingBlock(block(5n), other, transactionOf("send"))]),
        );
        await assert.rejects(changed, /another message was seen at this nonce before/);
      }),
    ));
});
