import assert from "node:assert/strict";
import { it } from "node:test";
import { numberToHex, toEventSelector } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Tx } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import { relayMigrations, relayProjections } from "#relay";
import { createRecentContents } from "#relay/contents.ts";
import { createLanes, laneName } from "#relay/lane.ts";
import { relayEvents } from "#relay/laneEvents.ts";
import { laneFigures } from "#relay/laneState.ts";
import { createRelayObserver } from "#relay/observer.ts";
import { statusOf } from "#relay/progress.ts";
import { listRows } from "#relay/readModel.ts";
import { type DatabaseBackend, onDatabase, quietLog } from "../support/databases.ts";
import { attemptLog, block, laneOf, sendingBlock, sites, transactionOf } from "./gatewayLogs.ts";
import { addressOf } from "./samples.ts";

const lane = { origin: "alpha", destination: "beta" };
const own = addressOf(77);

async function open(backend: DatabaseBackend) {
  const database = await backend.open();
  const { db } = database;
  await migrate(db, [...eventMigrations, ...relayMigrations]);
  const store = createEventStore({
    ...{ db, log: quietLog, clock: systemClock, schemas: relayEvents, projections: relayProjections },
  });
  const woken: string[] = [];
  const intents = new Map<Hex, { hash: Hex; subject: string }>();
  let lookUps = 0;
  let statements = 0;
  const observer = createRelayObserver({
    ...{ store, chains: fixed(sites), lanes: createLanes({ chains: fixed(sites) }), managed: new Set([own]) },
    contents: createRecentContents(),
    sender: {
      findByTransactions: async (_from, hashes) => {
        lookUps += hashes.length;
        const known = hashes.flatMap((hash) => intents.get(hash) ?? []);
        return new Map(
          known.map((found) => [found.hash, { intentId: "i", subject: found.subject, kind: "relay.send" }]),
        );
      },
    },
    wake: (each) => void woken.push(laneName(each)),
  });
  const counted = (tx: Tx): Tx => ({
    ...tx,
    query: (text, params) => {
      statements += 1;
      return tx.query(text, params);
    },
  });
  const inTx = (work: (tx: Tx) => Promise<void>) => db.tx((tx) => work(counted(tx)));
  return {
    ...{ db, store, woken, intents, secondLook: observer.secondLook, close: database.close },
    included: (chain: string, ...blocks: Parameters<typeof observer.included>[2]) =>
      inTx((tx) => observer.included(tx, chain, blocks)),
    reorged: (chain: string, ancestor: bigint, deep = false) =>
      inTx((tx) => observer.reorged(tx, chain, ancestor, deep)),
    finalized: (chain: string, height: bigint) => inTx((tx) => observer.finalized(tx, chain, height)),
    rows: () => listRows(db, { limit: 20_000 }),
    statuses: async () =>
      (await listRows(db, { limit: 100 })).map(({ progress }) => `${progress.sent?.nonce} ${statusOf(progress)}`),
    types: async () => (await store.readAll(0n, 100_000)).map(({ type }) => type),
    counts: () => ({ lookUps, statements }),
  };
}

const broken = (error: unknown) => isLockstepError(error, "lane-broken");
const missingAfter = (after: bigint | undefined) => (error: unknown) =>
  isLockstepError(error, "logs-missing") && error.retryable && error.details.after === after;
const three = laneOf(["0x01", "0x02", "0x03"]);

await onDatabase("the observer of messages", (backend) => {
  const each = (name: string, work: (o: Awaited<ReturnType<typeof open>>) => Promise<void>) =>
    it(name, async () => {
      const o = await open(backend);
      try {
        await work(o);
      } finally {
        await o.close();
      }
    });

  each("follows a lane, tells its driver, and says nothing twice when blocks are shown twice", async (o) => {
    await o.included("alpha", sendingBlock(block(5n), three));
    await o.included("alpha", sendingBlock(block(5n), three));
    await o.finalized("alpha", 5n);
    await o.finalized("alpha", 6n);
    const attempts = { block: block(9n), logs: attemptsOf(9n) };
    await o.included("beta", attempts);
    await o.included("beta", attempts);
    await o.finalized("beta", 9n);
    await o.finalized("beta", 9n);
    assert.deepEqual(await o.statuses(), ["3 delivered", "2 failed", "1 delivered"]);
    const types = await o.types();
    // The first and the third are runs of one: the second, which failed, is between them.
    for (const [type, count] of [
      ["MessageSent", 3],
      ["MessagesFinalized", 1],
      ["MessagesDelivered", 2],
      ["MessageFailed", 1],
      ["DeliveriesFinalized", 2],
      ["DeliveryFinalized", 1],
    ] as const) {
      assert.equal(types.filter((each) => each === type).length, count, type);
    }
    assert.deepEqual(o.woken, ["alpha→beta", "alpha→beta"]);
    assert.deepEqual(await laneFigures(o.db, lane), {
      seen: 3n,
      finalized: 3n,
      attested: 3n,
      delivered: 3n,
      backlog: 0,
    });
  });

  const attemptsOf = (height: bigint) => [
    attemptLog(three[0]!, { at: block(height), transaction: transactionOf("d"), index: 0 }, "MessageExecuted"),
    attemptLog(three[1]!, { at: block(height), transaction: transactionOf("d"), index: 1 }, "MessageFailed"),
    attemptLog(three[2]!, { at: block(height), transaction: transactionOf("d"), index: 2 }, "MessageExecuted"),
  ];

  each("stops with a code at a wrong accumulator, changed content or a changed past, and writes nothing", async (o) => {
    const [first, second, third] = three;
    await o.included("alpha", sendingBlock(block(5n), [first!]));
    const before = await o.types();
    const wrong = { ...second!, accumulator: third!.accumulator };
    await assert.rejects(o.included("alpha", sendingBlock(block(6n), [wrong])), broken);
    await assert.rejects(o.included("alpha", sendingBlock(block(6n), [{ ...second!, payload: "0xff" }])), broken);
    const [other] = laneOf(["0x99"]);
    await assert.rejects(o.included("alpha", sendingBlock(block(6n), [other!])), broken);
    assert.deepEqual(await o.types(), before);
    await o.included("alpha", sendingBlock(block(6n), [second!, third!]));
    assert.equal((await o.rows()).length, 3);
  });

  each(
    "passes over a lane whose first message it was not shown, and takes all of it once they are shown",
    async (o) => {
      const [first, second, third] = three;
      const show = (height: bigint, sample: typeof first) => sendingBlock(block(height), [sample!]);
      await o.included("alpha", show(6n, second), show(7n, third));
      assert.deepEqual(await o.types(), []);
      await o.included("alpha", show(5n, first), show(6n, second), show(7n, third));
      assert.deepEqual(await o.statuses(), ["3 sent", "2 sent", "1 sent"]);
    },
  );

  each("says from where on logs are missing at a gap, and goes on once they are shown", async (o) => {
    const [first, second, third] = three;
    const show = (height: bigint, sample: typeof first) => sendingBlock(block(height), [sample!]);
    await assert.rejects(o.included("alpha", show(5n, first), show(8n, third)), missingAfter(5n));
    assert.deepEqual(await o.types(), []);
    await o.included("alpha", show(5n, first));
    await o.finalized("alpha", 7n);
    await assert.rejects(o.included("alpha", show(8n, third)), missingAfter(5n));
    await o.included("alpha", show(6n, second));
    await o.included("alpha", show(8n, third));
    await o.finalized("alpha", 8n);
    assert.deepEqual(await o.statuses(), ["3 final", "2 final", "1 final"]);
  });

  each("keeps what a destination shows first until the message is seen, final or not", async (o) => {
    await o.included("beta", { block: block(9n), logs: attemptsOf(9n).slice(0, 2) });
    await o.included("beta", { block: block(10n), logs: [attemptsOf(10n)[2]!] });
    await o.finalized("beta", 9n);
    assert.deepEqual(await o.rows(), []);
    await o.included("alpha", sendingBlock(block(5n), three));
    assert.deepEqual(await o.statuses(), ["3 delivered", "2 failed", "1 delivered"]);
    const finals = (await o.rows()).map(({ progress }) => (progress.executed ?? progress.failed)?.final);
    assert.deepEqual(finals, [false, true, true]);
    await o.finalized("beta", 10n);
    assert.ok((await o.rows()).every(({ progress }) => (progress.executed ?? progress.failed)?.final));
  });

  each("joins a message and its attempt when both are written at the same moment", async (o) => {
    const many = laneOf(Array.from({ length: 20 }, (_, n) => numberToHex(n + 1, { size: 2 })));
    for (const [n, sample] of many.entries()) {
      const at = block(BigInt(n + 1));
      const executed = attemptLog(sample, { at, transaction: transactionOf("d"), index: 0 }, "MessageExecuted");
      await Promise.all([
        o.included("beta", { block: at, logs: [executed] }),
        o.included("alpha", sendingBlock(at, [sample])),
      ]);
    }
    assert.deepEqual(new Set((await o.rows()).map(({ progress }) => statusOf(progress))), new Set(["delivered"]));
    assert.deepEqual(await o.db.query("SELECT * FROM relay_orphans"), []);
  });

  each("forgets what a destination took back before the message was seen", async (o) => {
    await o.included("beta", { block: block(9n), logs: attemptsOf(9n) });
    await o.reorged("beta", 8n);
    await o.included("alpha", sendingBlock(block(5n), three));
    assert.deepEqual(await o.statuses(), ["3 sent", "2 sent", "1 sent"]);
  });

  each("goes on with the same message when its transaction comes back at another nonce", async (o) => {
    await o.included("alpha", sendingBlock(block(5n), laneOf(["0x01", "0x02"])));
    const before = new Map((await o.rows()).map(({ id, progress }) => [progress.sent?.nonce, id]));
    await o.reorged("alpha", 4n);
    assert.deepEqual(await o.statuses(), ["undefined dropped", "undefined dropped"]);
    await o.included("alpha", sendingBlock(block(5n, 1), laneOf(["0x02", "0x01"])));
    const after = new Map((await o.rows()).map(({ id, progress }) => [progress.sent?.nonce, id]));
    assert.deepEqual([after.get(1n), after.get(2n)], [before.get(2n), before.get(1n)]);
  });

  each("tells messages of one transaction apart, and looks up nothing for strangers", async (o) => {
    await o.included("alpha", sendingBlock(block(5n), laneOf(["0x01", "0x01"]), transactionOf("batch")));
    assert.equal(new Set((await o.rows()).map(({ id }) => id)).size, 2);
    assert.equal(o.counts().lookUps, 0);
  });

  each("knows its own messages by their transactions, and never gives two messages one stream", async (o) => {
    const hash = transactionOf("own");
    o.intents.set(hash, { hash, subject: "message-mine" });
    const [first, second] = laneOf(["0x01", "0x02"], own);
    await o.included("alpha", sendingBlock(block(5n), [first!], hash, own));
    await o.included("alpha", sendingBlock(block(6n), [second!], hash, own));
    const [newer, older] = await o.rows();
    assert.equal(older?.id, "mine");
    assert.notEqual(newer?.id, "mine");
  });

  each("takes a burst of thousands in a few statements, and rebuilds the same read model from events", async (o) => {
    const count = 2_000;
    const burst = laneOf(Array.from({ length: count }, (_, n) => numberToHex(n + 1, { size: 4 })));
    const started = performance.now();
    await o.included("alpha", sendingBlock(block(5n), burst));
    await o.finalized("alpha", 5n);
    const logs = burst.map((sample, index) =>
      attemptLog(sample, { at: block(9n), transaction: transactionOf("d"), index }, "MessageExecuted"),
    );
    await o.included("beta", { block: block(9n), logs });
    await o.finalized("beta", 9n);
    const ms = performance.now() - started;
    assert.ok(o.counts().statements < 60, `${o.counts().statements} statements`);
    assert.equal(o.counts().lookUps, 0);
    const rows = await o.rows();
    assert.equal(rows.filter(({ progress }) => progress.executed?.final).length, count);
    await o.store.rebuild("messages");
    assert.deepEqual(await o.rows(), rows);
    assert.ok(ms < 60_000, `${ms} ms`);
  });

  each("has everything looked at twice but what its lanes' heads prove", async ({ secondLook }) => {
    const events = gatewayAbi.filter((item) => item.type === "event");
    const once = events.filter((item) => !secondLook?.includes(toEventSelector(item))).map(({ name }) => name);
    // An outcome of a retry moves no head: left out, a node that hides it would leave its message failed for ever.
    assert.deepEqual(once.sort(), ["LaneAppended", "MessageSent"]);
  });
});
