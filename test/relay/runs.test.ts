import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { EventStore } from "#core/events/store.ts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { relayMigrations, relayProjections } from "#relay";
import { type MessageEvent, messageStream } from "#relay/events.ts";
import { historiesOf, historyOf } from "#relay/history.ts";
import { createRelayJourneys } from "#relay/journeys.ts";
import { impliedEvents, isLaneEvent, type LaneEvent, laneStream, relayEvents } from "#relay/laneEvents.ts";
import { foldMessage } from "#relay/message.ts";
import { listRows } from "#relay/readModel.ts";
import { untouchedAccumulator } from "#relay/runs.ts";
import { type DatabaseBackend, type OpenDatabase, onDatabase, quietLog } from "../support/databases.ts";
import { events as samples } from "./samples.ts";

const lane = { origin: "alpha", destination: "beta" };
const nonces = [1n, 2n, 3n, 4n, 5n];
const idOf = (nonce: bigint) => `message-of-${nonce}`;
const ids = nonces.map(idOf);
const hash = `0x${"ab".repeat(32)}` as const;

const run = (firstNonce: bigint, lastNonce: bigint) => ({ ...lane, firstNonce, lastNonce });
const finalized = (first: bigint, last: bigint): LaneEvent => ({
  type: "MessagesFinalized",
  data: { ...run(first, last), finalHeight: 12n },
});
const started = (first: bigint, last: bigint, attempt = 1): LaneEvent => ({
  type: "DeliveriesStarted",
  data: { ...run(first, last), checkpointNonce: last, epoch: 1n, intentId: `i-${first}-${last}-${attempt}`, attempt },
});
const delivered = (first: bigint, last: bigint): LaneEvent => ({
  type: "MessagesDelivered",
  data: { ...run(first, last), transactionHash: hash, blockNumber: 20n, blockHash: hash, at: 1n },
});
const settled = (first: bigint, last: bigint): LaneEvent => ({
  type: "DeliveriesFinalized",
  data: { ...run(first, last), finalHeight: 21n },
});

/** Two deliveries with the finality of the last ones still to come. */
const story = [
  finalized(1n, 4n),
  started(1n, 2n),
  started(3n, 4n),
  delivered(1n, 2n),
  delivered(3n, 4n),
  settled(1n, 3n),
  finalized(5n, 5n),
];

async function openStore({ db }: OpenDatabase): Promise<EventStore> {
  await migrate(db, [...eventMigrations, ...relayMigrations]);
  const store = createEventStore({
    ...{ db, log: quietLog, clock: systemClock, schemas: relayEvents, projections: relayProjections },
  });
  const sent = nonces.map((nonce) => ({
    stream: messageStream(idOf(nonce)),
    expected: 0,
    events: [samples.sent(nonce)],
  }));
  await db.tx((tx) => store.append(tx, sent));
  return store;
}

async function appendRuns({ db }: OpenDatabase, store: EventStore, events: readonly LaneEvent[]): Promise<void> {
  for (const event of events) {
    await db.tx((tx) => store.append(tx, [{ stream: laneStream(lane, "delivery"), expected: "any", events: [event] }]));
  }
}

/** The same as `appendRuns`, spelled out message by message. */
async function appendEach({ db }: OpenDatabase, store: EventStore, events: readonly LaneEvent[]): Promise<void> {
  for (const event of events) {
    const inRun = nonces.filter((nonce) => nonce >= event.data.firstNonce && nonce <= event.data.lastNonce);
    const appends = inRun.map((nonce) => ({
      stream: messageStream(idOf(nonce)),
      expected: "any" as const,
      events: impliedEvents(event),
    }));
    await db.tx((tx) => store.append(tx, appends));
  }
}

const stateOf = async ({ db }: OpenDatabase) => ({
  rows: (await listRows(db, { limit: 10 })).map(({ id, progress }) => ({ id, progress })),
  statuses: await db.query("SELECT id, status FROM relay_messages ORDER BY id"),
});

const typesOf = (events: readonly MessageEvent[] | undefined) => events?.map(({ type }) => type);

async function withTwo(
  backend: DatabaseBackend,
  check: (runs: OpenDatabase, each: OpenDatabase) => Promise<void>,
): Promise<void> {
  const both = await Promise.all([backend.open(), backend.open()]);
  try {
    await check(...both);
  } finally {
    await Promise.all(both.map((each) => each.close()));
  }
}

await onDatabase("runs of messages", (backend) => {
  it("change rows as the events that they imply do, step by step and when replayed", () =>
    withTwo(backend, async (one, other) => {
      const [runs, each] = [await openStore(one), await openStore(other)];
      for (const event of story) {
        await appendRuns(one, runs, [event]);
        await appendEach(other, each, [event]);
        assert.deepEqual(await stateOf(one), await stateOf(other), event.type);
      }
      const before = await stateOf(one);
      await runs.rebuild("messages");
      assert.deepEqual(await stateOf(one), before);
    }));

  it("give every message the history that it would have alone", () =>
    withTwo(backend, async (one, other) => {
      const [runs, each] = [await openStore(one), await openStore(other)];
      await appendRuns(one, runs, story);
      await appendEach(other, each, story);
      const [short, long] = [await historiesOf(runs, one.db, ids), await historiesOf(each, other.db, ids)];
      for (const id of ids) {
        assert.deepEqual(typesOf(short.get(id)), typesOf(long.get(id)), id);
        const [folded, alone] = [foldMessage(short.get(id) ?? []), foldMessage(long.get(id) ?? [])];
        assert.deepEqual(folded?.progress, alone?.progress);
        assert.equal(folded?.version, 1);
      }
      assert.deepEqual(await historyOf(runs, one.db, "nobody"), []);
    }));

  it("start no delivery of a message that is in another one, has an outcome or is not final", async () => {
    const database = await backend.open();
    try {
      const store = await openStore(database);
      await appendRuns(database, store, [finalized(1n, 4n), started(1n, 2n)]);
      const before = await store.readAll(0n, 100);
      for (const refused of [started(2n, 3n), started(1n, 2n), started(4n, 5n), started(5n, 6n)]) {
        await assert.rejects(appendRuns(database, store, [refused]), { code: "conflict" });
      }
      await appendRuns(database, store, [delivered(3n, 3n)]).then(() =>
        assert.rejects(appendRuns(database, store, [started(3n, 4n)]), { code: "conflict" }),
      );
      assert.equal((await store.readAll(0n, 100)).length, before.length + 1);
    } finally {
      await database.close();
    }
  });

  it("deliver the messages that they name, and none that took their places after a deep reorganisation", async () => {
    const database = await backend.open();
    try {
      const store = await openStore(database);
      const of = (nonce: bigint) => samples.sent(nonce).data as { onchainId: Hex; accumulator: Hex };
      const append = (id: string, event: MessageEvent) =>
        database.db.tx((tx) => store.append(tx, [{ stream: messageStream(id), expected: "any", events: [event] }]));
      await appendRuns(database, store, [finalized(1n, 5n)]);
      // As the destination's indexer sees it, before it gets its place in the order of events.
      const seen = await untouchedAccumulator(database.db, lane, 3n, [of(3n).onchainId, of(4n).onchainId]);
      assert.equal(seen, of(4n).accumulator);
      const event = delivered(3n, 4n) as Extract<LaneEvent, { type: "MessagesDelivered" }>;
      const named = { ...event, data: { ...event.data, accumulator: seen } };
      for (const nonce of [5n, 4n]) await append(idOf(nonce), samples.reorged(1n));
      await assert.rejects(appendRuns(database, store, [named]), { code: "conflict" });
      const other = samples.sent(4n) as Extract<MessageEvent, { type: "MessageSent" }>;
      await append("another", { ...other, data: { ...other.data, onchainId: hash, accumulator: hash } });
      await assert.rejects(appendRuns(database, store, [named]), { code: "conflict" });
      const rows = await listRows(database.db, { limit: 10 });
      assert.deepEqual(
        rows.flatMap(({ id, progress }) => (progress.executed ? [id] : [])),
        [],
      );
      await appendRuns(database, store, [{ ...named, data: { ...named.data, accumulator: hash } }]);
      assert.equal((await listRows(database.db, { status: "delivered", limit: 10 })).length, 2);
    } finally {
      await database.close();
    }
  });

  it("tell the stages of all their messages, or of no more than are wanted and some of each run", async () => {
    const database = await backend.open();
    try {
      const store = await openStore(database);
      await appendRuns(database, store, [finalized(1n, 4n), finalized(5n, 5n)]);
      const runs = (await store.readAll(0n, 100)).filter(isLaneEvent);
      const journeys = createRelayJourneys({ db: database.db, store });
      const toldOf = async (most?: number) => {
        const asked: string[] = [];
        const stages = await journeys.stagesOf(runs, (tracking) => asked.push(tracking) > 0, most);
        assert.deepEqual(new Set(stages.map(({ tracking }) => tracking)), new Set(asked));
        return { asked: asked.toSorted(), stages };
      };
      const streamsOf = (...of: readonly bigint[]) => of.map((nonce) => messageStream(idOf(nonce)));
      assert.deepEqual((await toldOf()).asked, streamsOf(...nonces));
      assert.deepEqual((await toldOf(4)).asked, streamsOf(1n, 2n, 5n));
      const { asked, stages } = await toldOf(2);
      assert.deepEqual(asked, streamsOf(1n, 5n));
      const read = stages.filter(({ name }) => name === "message.index").map(({ countedAt }) => countedAt);
      assert.deepEqual(
        read,
        runs.map(({ position }) => position),
        "what the outbox does not read is counted with the run",
      );
    } finally {
      await database.close();
    }
  });

  it("belong to the message that had the place then, not to the one that has it after a reorganisation", async () => {
    const database = await backend.open();
    try {
      const store = await openStore(database);
      await appendRuns(database, store, [finalized(4n, 5n)]);
      const reorged: MessageEvent = { type: "MessageReorged", data: { ...lane, ancestor: 1n } };
      const append = (id: string, event: MessageEvent) =>
        database.db.tx((tx) => store.append(tx, [{ stream: messageStream(id), expected: "any", events: [event] }]));
      await append(idOf(5n), reorged);
      await append("another", samples.sent(5n));
      await appendRuns(database, store, [finalized(5n, 5n)]);
      const histories = await historiesOf(store, database.db, [idOf(4n), idOf(5n), "another"]);
      assert.deepEqual(typesOf(histories.get(idOf(4n))), ["MessageSent", "MessageFinalized"]);
      assert.deepEqual(typesOf(histories.get(idOf(5n))), ["MessageSent", "MessageFinalized", "MessageReorged"]);
      assert.deepEqual(typesOf(histories.get("another")), ["MessageSent", "MessageFinalized"]);
    } finally {
      await database.close();
    }
  });
});

describe("events of runs", () => {
  it("are all told apart from those of single messages", () => {
    assert.deepEqual(
      story.map((event) =>
        impliedEvents(event)
          .map(({ type }) => type)
          .join(),
      ),
      [
        ...["MessageFinalized", "MessageAttested,DeliveryStarted", "MessageAttested,DeliveryStarted"],
        ...["MessageDelivered", "MessageDelivered", "DeliveryFinalized", "MessageFinalized"],
      ],
    );
  });
});
