import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { createChain } from "#core/chain/createChain.ts";
import { createIndexer } from "#core/indexer/createIndexer.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { fixed } from "#core/kernel/live.ts";
import { onDatabase, quietLog } from "../../support/databases.ts";
import { type LocalChain, startLocalChain } from "../../support/localChain.ts";
import { deployRinger, type Ringer } from "../../support/tinyContracts.ts";
import { until } from "../../support/until.ts";
import { createHistory, openIndexed, recordedWords } from "../indexer/support.ts";
import { openBench, ringing } from "../sender/support.ts";

const chainId = 991_008;
const never = 3_600_000;

await onDatabase("who follows a chain that tells about its heads", (backend) => {
  let local: LocalChain;
  let ringer: Ringer;
  before(async () => {
    local = await startLocalChain(chainId);
    ringer = await deployRinger(local);
  });
  after(() => local?.close());

  const open = (blocks: number) =>
    createChain(
      {
        ...{ name: "alpha", chainId, finality: { blocks }, pollMs: never },
        endpoints: [{ url: local.url, webSocket: local.url.replace("http", "ws") }],
      },
      { log: quietLog, clock: systemClock },
    );

  it("indexes a block when it is there, not at the next poll", async () => {
    const database = await openIndexed(backend);
    const chain = open(1);
    const config = { pollMs: never, startBlock: 0, logWindow: 2_000, recheckMs: 60_000 };
    const observers = [createHistory(() => [ringer.address])];
    const indexer = createIndexer({ chain, config, db: database.db, observers, log: quietLog, clock: systemClock });
    try {
      indexer.start();
      await until(() => chain.endpoints()[0]?.socket === "live", "the socket is live");
      for (let word = 1n; word <= 3n; word++) {
        await ringer.ring(word);
        const height = await local.height();
        await until(
          () => indexer.status().indexed === height && indexer.status().final === height - 1n,
          "it is indexed",
        );
      }
      assert.equal((await recordedWords(database)).length, 3);
    } finally {
      await indexer.stop();
      await database.close();
    }
    await until(() => chain.endpoints()[0]?.socket === "down", "a stopped indexer does not watch");
  });

  it("ends an intent when its block is final, not at the next poll", async () => {
    const bench = await openBench(backend, { url: local.url, chainId });
    const chain = open(2);
    try {
      const sender = await bench.process({ chains: fixed({ alpha: { chain, settings: { pollMs: never } } }) });
      await until(() => chain.endpoints()[0]?.socket === "live", "the socket is live");
      await bench.submit(sender, [ringing(ringer.address, 9n)]);
      await until(async () => (await bench.eventsOf("ring-9")).length > 0, "it is in a block");
      await local.mine(2);
      const [end] = await bench.ended(["ring-9"]);
      assert.equal(end?.type, "IntentFinalized");
    } finally {
      await bench.close();
    }
  });
});
