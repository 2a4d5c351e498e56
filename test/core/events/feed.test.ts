import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import { createFeed, type Feed, type FeedOptions } from "#core/events/feed.ts";
import type { EventFilter } from "#core/events/filter.ts";
import type { EndCode, FeedReader, Subscriber } from "#core/events/members.ts";
import { createShow, type ShownEvent } from "#core/events/shown.ts";
import type { EventStore } from "#core/events/store.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import {
  forEachDatabase,
  quietLog as log,
  type OpenDatabase,
  onPostgres,
  withDatabase,
} from "#test/support/databases.ts";
import { deposit, itemStore } from "#test/support/items.ts";
import { shownItems } from "#test/support/shownItems.ts";
import { until } from "#test/support/until.ts";
import { createVirtualClock } from "#test/support/virtualClock.ts";

const someone: Subscriber = { id: "someone" };

type TestReader = FeedReader & {
  readonly seen: ShownEvent[];
  readonly beats: bigint[];
  ended(): EndCode | undefined;
  /** Takes what it is sent only while this is false. */
  block(blocked: boolean): void;
};

function createReader(): TestReader {
  const seen: ShownEvent[] = [];
  const beats: bigint[] = [];
  let [bytes, blocked] = [0, false];
  let code: EndCode | undefined;
  let drained = Promise.withResolvers<void>();
  return {
    ...{ seen, beats },
    send(events) {
      assert.equal(code, undefined, "sent after the end");
      assert.ok(events.length > 0);
      seen.push(...events);
      if (blocked) bytes += events.reduce((sum, { text }) => sum + text.length, 0);
    },
    beat: (position) => void beats.push(position),
    buffered: () => bytes,
    drained: () => drained.promise,
    end(why) {
      code = why;
    },
    ended: () => code,
    block(now) {
      blocked = now;
      if (now) return;
      bytes = 0;
      drained.resolve();
      drained = Promise.withResolvers<void>();
    },
  };
}

type World = OpenDatabase & {
  store: EventStore;
  feed: Feed;
  write(count: number, stream?: string): Promise<void>;
  join(
    after: bigint | undefined,
    filter?: EventFilter,
    subscriber?: Subscriber,
  ): Promise<{ reader: TestReader; leave(): void }>;
};

await forEachDatabase("feed", (backend) => {
  const withFeed = (work: (world: World) => Promise<void>, options: Partial<FeedOptions> = {}) =>
    withDatabase(backend, async (database) => {
      const store = await itemStore(database.db);
      const show = createShow({ kinds: [shownItems], store, db: database.db });
      const feed = createFeed({ store, show, log, ...options });
      const write = async (count: number, stream = "s") => {
        // Many at once, or each by itself.
        const events = Array.from({ length: count }, () => deposit(1n));
        const commits = count > 100 ? [events] : events.map((event) => [event]);
        for (const each of commits) {
          await database.db.tx((tx) => store.append(tx, [{ stream, expected: "any", events: each }]));
        }
      };
      const join: World["join"] = async (asked, filter = {}, subscriber = someone) => {
        const reader = createReader();
        const after = await feed.open(asked, subscriber);
        return { reader, leave: feed.join(reader, { after, filter, subscriber }) };
      };
      feed.start();
      try {
        await work({ ...database, store, feed, write, join });
      } finally {
        await feed.stop();
      }
    });
  const idsOf = ({ seen }: TestReader) => seen.map(({ position }) => Number(position));
  const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, index) => from + index);

  it("gives each reader what comes after its position, once and in order", () =>
    withFeed(async ({ write, join }) => {
      await write(450);
      const [all, late, now] = await Promise.all([join(0n), join(300n), join(undefined)]);
      await write(5);
      await until(() => [all, late, now].every(({ reader }) => idsOf(reader).at(-1) === 455));
      assert.deepEqual(idsOf(all.reader), upTo(455));
      assert.deepEqual(idsOf(late.reader), upTo(455, 301));
      assert.deepEqual(idsOf(now.reader), upTo(455, 451));
    }));

  it("puts an event into text once for all who want the same", () =>
    withFeed(async ({ write, join }) => {
      const [one, other] = await Promise.all([join(undefined), join(undefined)]);
      await write(1);
      await until(() => one.reader.seen.length + other.reader.seen.length === 2);
      assert.equal(one.reader.seen[0], other.reader.seen[0]);
    }));

  it("keeps to the filter, by what the first event of a stream says of its later ones too", () =>
    withFeed(async ({ db, store, write, join }) => {
      const events = [{ type: "Renamed", data: { name: "alpha" } }];
      await db.tx((tx) => store.append(tx, [{ stream: "named", expected: 0, events }]));
      await write(2, "named");
      await write(2, "other");
      const filters: readonly EventFilter[] = [
        { chain: "alpha" },
        { chain: "beta" },
        { type: ["Renamed"] },
        { subject: "other" },
        { kind: ["item"], type: ["Deposited"], chain: "alpha" },
        { lane: "alpha→beta" },
      ];
      const joined = await Promise.all(filters.map((filter) => join(0n, filter)));
      const whole = await join(0n);
      await until(() => whole.reader.seen.length === 5);
      await write(1, "named");
      await until(() => whole.reader.seen.length === 6 && (joined[0]?.reader.seen.length ?? 0) === 4);
      assert.deepEqual(
        joined.map(({ reader }) => idsOf(reader)),
        [[1, 2, 3, 6], [], [1], [4, 5], [2, 3, 6], []],
      );
    }));

  it("refuses positions that no event has, and readers beyond the limit", () =>
    withFeed(
      async ({ db, write, join, feed }) => {
        await write(3);
        await assert.rejects(feed.open(4n, someone), (error) => isLockstepError(error, "event-position-unknown"));
        await db.query("DELETE FROM events WHERE position < 3");
        await assert.rejects(feed.open(1n, someone), (error) => isLockstepError(error, "event-position-gone"));
        const last = await join(2n);
        await until(() => last.reader.seen.length === 1);
        await join(undefined);
        await assert.rejects(feed.open(undefined, someone), (error) => isLockstepError(error, "streams-full"));
        last.leave();
        await feed.open(undefined, someone);
      },
      { mostReaders: 2 },
    ));

  it("sends a reader away that does not take what it is sent, and goes on with the others", () =>
    withFeed(
      async ({ write, join }) => {
        const [slow, other] = [await join(undefined), await join(undefined)];
        slow.reader.block(true);
        await write(40);
        await until(() => other.reader.seen.length === 40);
        assert.equal(slow.reader.ended(), "reader-too-slow");
        const told = idsOf(slow.reader);
        assert.ok(told.length < 40);
        const again = await join(BigInt(told.at(-1) ?? 0));
        await until(() => told.length + again.reader.seen.length === 40);
        assert.deepEqual([...told, ...idsOf(again.reader)], upTo(40));
      },
      { mostBuffered: 2_000 },
    ));

  it("brings a reader that is behind no further than it takes", () =>
    withFeed(async ({ write, join }) => {
      await write(900);
      const { reader } = await join(0n);
      reader.block(true);
      await until(() => reader.seen.length > 0);
      await write(1);
      assert.ok(reader.seen.length <= 200, `${reader.seen.length} at once`);
      reader.block(false);
      await until(() => reader.seen.length === 901);
      assert.deepEqual(idsOf(reader), upTo(901));
    }));

  it("lets nobody have more streams than one may, and counts those who have left no more", () =>
    withFeed(
      async ({ feed, join }) => {
        const other = { id: "other" };
        const [first] = [await join(undefined), await join(undefined)];
        await assert.rejects(join(undefined), (error) => isLockstepError(error, "too-many-streams"));
        await join(undefined, {}, other);
        first.leave();
        await join(undefined);
        // Those who ask at once count before they are in.
        const asked = await Promise.allSettled([1, 2, 3].map(() => feed.open(undefined, other)));
        assert.deepEqual(
          asked.map(({ status }) => status),
          ["fulfilled", "rejected", "rejected"],
        );
      },
      { mostPerSubscriber: 2 },
    ));

  it("sends away whose credentials have ended, and nobody else", () => {
    const clock = createVirtualClock(1_000);
    const ended = new Set<string>();
    const asked: string[][] = [];
    const endedKeys = async (ids: readonly string[]) => {
      asked.push([...ids]);
      if (asked.length === 1) throw new Error("the database is away");
      return ended;
    };
    return withFeed(
      async ({ join }) => {
        const subscribers = [{ key: "a" }, { key: "a" }, { key: "b" }, { until: 1_001 + 3_000 }, {}];
        const all: TestReader[] = [];
        for (const each of subscribers) all.push((await join(undefined, {}, { id: "it", ...each })).reader);
        const pass = async () => {
          const before = asked.length;
          await until(() => {
            clock.advance(500);
            return asked.length > before;
          });
        };
        await pass();
        ended.add("a");
        await pass();
        await until(() => all[0]?.ended() !== undefined);
        await pass();
        assert.deepEqual(
          all.map((reader) => reader.ended()),
          ["unauthorized", "unauthorized", undefined, "unauthorized", undefined],
        );
        assert.deepEqual([asked[0], asked.at(-1)], [["a", "b"], ["b"]]);
      },
      { clock, endedKeys },
    );
  });

  it("tells everybody when it stops, and lets nobody in any more", () =>
    withFeed(async ({ feed, join }) => {
      const { reader } = await join(0n);
      await feed.stop();
      assert.equal(reader.ended(), "shutting-down");
      await assert.rejects(feed.open(undefined, someone), (error) => isLockstepError(error, "shutting-down"));
    }));

  it("gives signs of life, ends a stream at its age, and one that leaves them lying", () => {
    const clock = createVirtualClock(1_000);
    const maxAgeMs = 1_000_000;
    const advance = async (times: number) => {
      for (let time = 0; time < times; time += 1) {
        await clock.asleep(1);
        clock.advance(15_000);
        await new Promise(setImmediate);
      }
    };
    return withFeed(
      async ({ write, join }) => {
        const [well, stuck] = [await join(undefined), await join(undefined)];
        await write(1);
        await until(() => stuck.reader.seen.length === 1);
        stuck.reader.block(true);
        stuck.reader.send(well.reader.seen);
        await advance(3);
        assert.deepEqual(well.reader.beats.slice(0, 3), [1n, 1n, 1n]);
        assert.equal(stuck.reader.ended(), undefined);
        await advance(3);
        assert.equal(stuck.reader.ended(), "reader-too-slow");
        assert.equal(well.reader.ended(), undefined);
        await advance(Math.ceil(maxAgeMs / 15_000));
        assert.equal(well.reader.ended(), "stream-expired");
      },
      { clock, maxAgeMs },
    );
  });
});

await onPostgres("feed under load", (backend) => {
  it("loses, repeats and swaps nothing while many commit at once and readers come and go", () =>
    withDatabase(backend, async ({ db }) => {
      const store = await itemStore(db);
      const show = createShow({ kinds: [shownItems], store, db });
      let run = 0;
      const readerPlan = fc.record({ leaves: fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 4 }) });
      await fc.assert(
        fc.asyncProperty(fc.array(readerPlan, { minLength: 1, maxLength: 6 }), async (plans) => {
          run += 1;
          const { last: base } = await store.bounds();
          const total = 120;
          let feed = createFeed({ store, show, log });
          feed.start();
          const writing = Promise.all(
            Array.from({ length: total }, (_, index) =>
              db.tx((tx) => store.append(tx, [{ stream: `run-${run}-${index}`, expected: 0, events: [deposit(1n)] }])),
            ),
          );
          const wanted = Array.from({ length: total }, (_, index) => base + BigInt(index + 1));
          const readings = plans.map(async ({ leaves }) => {
            const seen: bigint[] = [];
            for (const count of [...leaves, total]) {
              const reader = createReader();
              const after = await feed.open(seen.at(-1) ?? base, someone);
              const leave = feed.join(reader, { after, filter: {}, subscriber: someone });
              await until(() => reader.seen.length >= count || seen.length + reader.seen.length === total);
              leave();
              seen.push(...reader.seen.map(({ position }) => position));
            }
            return seen;
          });
          await writing;
          for (const seen of await Promise.all(readings)) assert.deepEqual(seen, wanted);
          await feed.stop();
          feed = createFeed({ store, show, log });
        }),
        { numRuns: 12 },
      );
    }));

  it("does not read over and over where positions were left out, and misses nothing behind them", () => {
    let reads = 0;
    return withDatabase(backend, async ({ db }) => {
      const store = await itemStore(db);
      const show = createShow({ kinds: [shownItems], store, db });
      const counting = {
        ...store,
        readAll: (...given: Parameters<typeof store.readAll>) => {
          reads += 1;
          return store.readAll(...given);
        },
      };
      const feed = createFeed({ store: counting, show, log });
      feed.start();
      const add = (expected: number) =>
        db.tx((tx) => store.append(tx, [{ stream: "s", expected, events: [deposit(1n)] }]));
      try {
        await add(0);
        await db.query("UPDATE event_counter SET position = 1000");
        const readers = [1n, 500n].map((after) => ({ after, reader: createReader() }));
        for (const { after, reader } of readers) {
          await feed.open(after, someone);
          feed.join(reader, { after, filter: {}, subscriber: someone });
        }
        await new Promise((resolve) => setTimeout(resolve, 300));
        assert.ok(reads < 20, `${reads} reads`);
        await add(1);
        for (const { reader } of readers) {
          await until(() => reader.seen.length > 0, "the event");
          assert.deepEqual(
            reader.seen.map(({ position }) => position),
            [1_001n],
          );
        }
      } finally {
        await feed.stop();
      }
    });
  });
});
