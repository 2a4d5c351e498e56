import assert from "node:assert/strict";
import { it } from "node:test";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { IndexedBlock } from "#core/indexer/observer.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { fixed } from "#core/kernel/live.ts";
import { relayMigrations, relayProjections } from "#relay";
import { createRecentContents } from "#relay/contents.ts";
import { createLanes, type RelayChain } from "#relay/lane.ts";
import { relayEvents } from "#relay/laneEvents.ts";
import { createRelayObserver } from "#relay/observer.ts";
import { statusOf } from "#relay/progress.ts";
import { listRows } from "#relay/readModel.ts";
import { type DatabaseBackend, onDatabase, quietLog } from "../support/databases.ts";
import {
  attemptLog,
  block,
  laneOf,
  realignedLog,
  type Sample,
  sendingBlock,
  sites,
  transactionOf,
} from "./gatewayLogs.ts";

async function open(backend: DatabaseBackend) {
  const database = await backend.open();
  const { db } = database;
  await migrate(db, [...eventMigrations, ...relayMigrations]);
  const store = createEventStore({
    ...{ db, log: quietLog, clock: systemClock, schemas: relayEvents, projections: relayProjections },
  });
  const chains = fixed<RelayChain>(sites);
  const observer = createRelayObserver({
    ...{ store, chains, lanes: createLanes({ chains }), managed: new Set() },
    ...{ contents: createRecentContents(), sender: { findByTransactions: async () => new Map() } },
    wake: () => undefined,
  });
  const rows = () => listRows(db, { limit: 100 });
  return {
    ...{ store, rows, close: database.close },
    included: (chain: string, ...blocks: IndexedBlock[]) => db.tx((tx) => observer.included(tx, chain, blocks)),
    reorged: (chain: string, ancestor: bigint) => db.tx((tx) => observer.reorged(tx, chain, ancestor, true)),
    finalized: (chain: string, height: bigint) => db.tx((tx) => observer.finalized(tx, chain, height)),
    /** Nonce and status of every message, the oldest first. */
    statuses: async () =>
      (await rows()).map(({ progress }) => `${progress.sent?.nonce ?? "-"} ${statusOf(progress)}`).reverse(),
  };
}

const [a, b, c] = laneOf(["0x0a", "0x0b", "0x0c"]) as [Sample, Sample, Sample];
/** The same origin on another branch: `b` comes first. */
const [b2, d2, e2] = laneOf(["0x0b", "0x0d", "0x0e"]) as [Sample, Sample, Sample];
const executed = (height: bigint, ...samples: Sample[]): IndexedBlock => ({
  block: block(height),
  logs: samples.map((sample, index) =>
    attemptLog(sample, { at: block(height), transaction: transactionOf("d"), index }, "MessageExecuted"),
  ),
});
const failing = (height: bigint, sample: Sample): IndexedBlock => ({
  block: block(height),
  logs: [attemptLog(sample, { at: block(height), transaction: transactionOf("f"), index: 0 }, "MessageFailed")],
});
const realigned = (height: bigint, last: Sample, ...retryable: Sample[]): IndexedBlock =>
  realignedTo(1, height, last, ...retryable);
const realignedTo = (generation: number, height: bigint, last: Sample, ...retryable: Sample[]): IndexedBlock => ({
  block: block(height),
  logs: [
    realignedLog(
      last,
      { at: block(height), transaction: transactionOf(`realign ${generation}`), index: 0 },
      retryable.map(({ id }) => id),
      generation,
    ),
  ],
});

await onDatabase("after a reorganisation deeper than finality", (backend) => {
  const each = (name: string, work: (o: Awaited<ReturnType<typeof open>>) => Promise<void>) =>
    it(name, async () => {
      const o = await open(backend);
      try {
        await work(o);
        const rows = await o.rows();
        await o.store.rebuild("messages");
        assert.deepEqual(await o.rows(), rows, "events and read model agree");
      } finally {
        await o.close();
      }
    });

  /** Two of three were executed, and all is final. */
  async function old(o: Awaited<ReturnType<typeof open>>) {
    await o.included("alpha", sendingBlock(block(5n), [a, b, c]));
    await o.finalized("alpha", 6n);
    await o.included("beta", executed(9n, a, b));
    await o.finalized("beta", 10n);
  }

  each("of the origin, what was executed stays so, and comes back as itself or as one more message", async (o) => {
    await old(o);
    const before = new Map((await o.rows()).map(({ id, progress }) => [progress.sent?.onchainId, id]));
    await o.reorged("alpha", 4n);
    assert.deepEqual(await o.statuses(), ["- delivered", "- delivered", "- dropped"]);
    await o.included("alpha", sendingBlock(block(5n, 1), [b2, d2]));
    assert.deepEqual(await o.statuses(), ["- delivered", "- delivered", "- dropped", "1 sent", "2 sent"]);
    // And back: the branch of before is the chain again, and everybody is who he was.
    await o.reorged("alpha", 4n);
    await o.included("alpha", sendingBlock(block(5n), [a, b, c]));
    await o.finalized("alpha", 6n);
    const after = new Map((await o.rows()).map(({ id, progress }) => [progress.sent?.onchainId, id]));
    for (const { id } of [a, b, c]) assert.equal(after.get(id), before.get(id));
    assert.deepEqual(await o.statuses(), ["1 delivered", "2 delivered", "3 final", "- dropped", "- dropped"]);
    await o.reorged("alpha", 4n);
    await o.included("alpha", sendingBlock(block(5n, 1), [b2, d2]));
    assert.equal((await o.rows()).length, 5);
  });

  each("of the destination, final outcomes are undone", async (o) => {
    await old(o);
    await o.reorged("beta", 8n);
    assert.deepEqual(await o.statuses(), ["1 final", "2 final", "3 final"]);
    await o.included("beta", executed(9n, a));
    assert.deepEqual(await o.statuses(), ["1 delivered", "2 final", "3 final"]);
  });

  each(
    "messages that a realignment jumps over are failed, those seen later too, and those after it go on",
    async (o) => {
      await old(o);
      await o.reorged("alpha", 4n);
      await o.included("alpha", sendingBlock(block(5n, 1), [b2]));
      await o.included("beta", realigned(12n, d2, d2));
      await o.included("beta", realigned(12n, d2, d2));
      await o.included("alpha", sendingBlock(block(6n, 1), [d2, e2]));
      assert.deepEqual((await o.statuses()).slice(3), ["1 failed", "2 failed", "3 sent"]);
      const skipped = (await o.store.readAll(0n, 1_000)).filter(({ type }) => type === "MessageSkipped");
      assert.deepEqual(
        skipped.map(({ data }) => (data as { retryable: boolean }).retryable),
        [false, true],
      );
      await o.included("beta", executed(13n, d2));
      assert.deepEqual((await o.statuses()).slice(3), ["1 failed", "2 delivered", "3 sent"]);
      // The realignment itself is reorganised out.
      await o.reorged("beta", 11n);
      assert.deepEqual((await o.statuses()).slice(3), ["1 sent", "2 sent", "3 sent"]);
    },
  );

  const skips = async (o: Awaited<ReturnType<typeof open>>) =>
    (await o.store.readAll(0n, 1_000)).flatMap(({ type, data }) =>
      type === "MessageSkipped" ? [(data as { retryable: boolean }).retryable] : [],
    );

  each("what had failed before a realignment is told once whether it may still run", async (o) => {
    await o.included("alpha", sendingBlock(block(5n), [a, b, c]));
    await o.included("beta", failing(9n, a));
    await o.included("beta", failing(10n, b));
    await o.included("beta", executed(11n, c));
    await o.included("beta", realigned(12n, c, b));
    await o.included("beta", realigned(12n, c, b));
    assert.deepEqual(await o.statuses(), ["1 failed", "2 failed", "3 delivered"]);
    assert.deepEqual(await skips(o), [false, true]);
    // They lose their places, and come back as themselves.
    await o.reorged("alpha", 4n);
    await o.included("alpha", sendingBlock(block(5n), [a, b, c]));
    assert.deepEqual(await o.statuses(), ["1 failed", "2 failed", "3 delivered"]);
  });

  each("what had failed is told also where its origin shows it after the realignment", async (o) => {
    await o.included("alpha", sendingBlock(block(5n), [a]));
    await o.included("beta", failing(9n, a));
    await o.included("beta", failing(10n, b));
    await o.included("beta", executed(11n, c));
    await o.reorged("alpha", 4n);
    await o.included("beta", realigned(12n, c, b));
    assert.deepEqual(await skips(o), []);
    await o.included("alpha", sendingBlock(block(5n), [a, b, c]));
    assert.deepEqual(await o.statuses(), ["1 failed", "2 failed", "3 delivered"]);
    assert.deepEqual(await skips(o), [false, true]);
  });

  each("realignments that are shown at once are told one after the other, and the newest one counts", async (o) => {
    await o.included("alpha", sendingBlock(block(5n), [a, b, c]));
    await o.included("beta", failing(9n, a), realigned(12n, b, a), realignedTo(2, 13n, c, b));
    assert.deepEqual(await o.statuses(), ["1 failed", "2 failed", "3 failed"]);
    assert.deepEqual(await skips(o), [true, false, false, true, false]);
  });
});
