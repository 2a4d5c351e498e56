import assert from "node:assert/strict";
import { it } from "node:test";
import { createOutbox } from "#core/events/outbox.ts";
import type { StoredEvent } from "#core/events/store.ts";
import { createSubscription, type SubscriptionOptions } from "#core/events/subscription.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import {
  forEachDatabase,
  quietLog as log,
  type OpenDatabase,
  onPostgres,
  withDatabase,
} from "#test/support/databases.ts";
import { deposit, itemStore } from "#test/support/items.ts";
import { until } from "#test/support/until.ts";

await forEachDatabase("subscription", (backend) => {
  const withItems = (
    work: (
      world: OpenDatabase & {
        write(count: number): Promise<void>;
        subscribe(
          handle: SubscriptionOptions["handle"],
          options?: Partial<SubscriptionOptions>,
        ): ReturnType<typeof createSubscription>;
        store: Awaited<ReturnType<typeof itemStore>>;
      },
    ) => Promise<void>,
  ) =>
    withDatabase(backend, async (database) => {
      const { db } = database;
      const store = await itemStore(db);
      let written = 0;
      const write = async (count: number) => {
        for (const stream of Array.from({ length: count }, () => `s${written++}`)) {
          await db.tx((tx) => store.append(tx, [{ stream, expected: 0, events: [deposit(1n)] }]));
        }
      };
      const subscribe = (handle: SubscriptionOptions["handle"], options: Partial<SubscriptionOptions> = {}) =>
        createSubscription({ name: "reader", store, db, log, handle, batch: 3, idleMs: 60_000, ...options });
      await work({ ...database, store, write, subscribe });
    });

  it("handles old and new events in order, woken by the append, and goes on where it stopped", () =>
    withItems(async ({ write, subscribe }) => {
      const seen: bigint[] = [];
      const handle = async (events: readonly StoredEvent[]) =>
        void seen.push(...events.map(({ position }) => position));
      await write(4);
      const first = subscribe(handle);
      first.start();
      await until(() => seen.length === 4);
      await write(3);
      await until(() => seen.length === 7);
      await first.stop();
      assert.equal(await first.position(), 7n);
      await write(2);
      const second = subscribe(handle);
      second.start();
      await until(() => seen.length === 9);
      await second.stop();
      await write(1);
      first.start();
      await until(() => seen.length === 10);
      await first.stop();
      assert.deepEqual(
        seen,
        Array.from({ length: 10 }, (_, index) => BigInt(index + 1)),
      );
    }));

  it("gives a batch again that failed, and gives up on an error that is not retryable", () =>
    withItems(async ({ write, subscribe }) => {
      const batches: number[] = [];
      const ended = Promise.withResolvers<void>();
      const handle = async (events: readonly StoredEvent[]) => {
        batches.push(events.length);
        if (batches.length === 1) throw new Error("not yet");
        if (batches.length === 3) throw new LockstepError("event-invalid", "never");
      };
      const subscription = subscribe(handle, { onFatal: ended.resolve });
      await write(5);
      subscription.start();
      await ended.promise;
      assert.deepEqual(batches, [3, 3, 2]);
      assert.equal(await subscription.position(), 3n);
      await subscription.stop();
    }));

  it("handles everything again after a rewind, also when it comes in the middle of a batch", () =>
    withItems(async ({ write, subscribe }) => {
      const seen: bigint[] = [];
      const subscription = subscribe(async (events) => {
        seen.push(...events.map(({ position }) => position));
        if (seen.length === 5) await subscription.rewind(0n);
      });
      await write(5);
      subscription.start();
      await until(() => seen.length === 10);
      assert.deepEqual(seen, [1n, 2n, 3n, 4n, 5n, 1n, 2n, 3n, 4n, 5n]);
      await until(async () => (await subscription.position()) === 5n);
      await subscription.stop();
    }));

  for (const [when, by, idleMs] of [
    ["by itself while it is idle", "itself", 60_000],
    ["by another process in the middle of a batch", "another", 60_000],
    ["by another process while it is idle, after a while", "another while idle", 20],
  ] as const) {
    it(`handles everything again once it is rewound ${when}, though nothing new comes`, () =>
      withItems(async ({ write, subscribe, store, db }) => {
        const seen: bigint[] = [];
        const another = subscribe(async () => undefined);
        const subscription = createSubscription({
          ...{ name: "reader", store, db, log, batch: 3, idleMs },
          async handle(events) {
            seen.push(...events.map(({ position }) => position));
            if (by === "another" && seen.length === 5) await another.rewind(0n);
          },
        });
        await write(5);
        subscription.start();
        try {
          await until(async () => seen.length >= 5 && (by === "another" || (await subscription.position()) === 5n));
          if (by === "itself") await subscription.rewind(0n);
          if (by === "another while idle") await another.rewind(0n);
          await until(() => seen.length === 10);
          assert.deepEqual(seen, [1n, 2n, 3n, 4n, 5n, 1n, 2n, 3n, 4n, 5n]);
          await until(async () => (await subscription.position()) === 5n);
        } finally {
          await subscription.stop();
        }
      }));
  }

  it("passes over types that it is told to, and stays behind what comes after them", () =>
    withItems(async ({ write, store, db }) => {
      const seen: bigint[] = [];
      const handle = async (events: readonly StoredEvent[]) =>
        void seen.push(...events.map(({ position }) => position));
      const rename = (stream: string, expected: number) =>
        db.tx((tx) => store.append(tx, [{ stream, expected, events: [{ type: "Renamed", data: { name: "x" } }] }]));
      await write(4);
      await rename("s0", 1);
      await write(1);
      const subscription = createSubscription({
        ...{ name: "reader", store, db, log, handle, batch: 3, idleMs: 60_000 },
        except: ["Deposited"],
      });
      subscription.start();
      await until(() => seen.length === 1);
      await rename("s1", 1);
      await until(() => seen.length === 2);
      assert.deepEqual(seen, [5n, 7n]);
      await until(async () => (await subscription.position()) === 7n);
      await subscription.stop();
    }));

  it("turns committed events into jobs and loses none when queueing fails", () =>
    withItems(async ({ write, db, store }) => {
      const queued: string[] = [];
      let attempts = 0;
      const outbox = createOutbox({
        name: "outbox",
        store,
        db,
        log,
        routes: ({ stream, version, type }) => (type === "Deposited" ? [{ id: `${stream}-${version}` }] : []),
        enqueue: async (jobs) => {
          attempts += 1;
          if (attempts === 1) throw new Error("the queue is away");
          queued.push(...jobs.map(({ id }) => id));
        },
      });
      await assert.rejects(
        db.tx(async (tx) => {
          await store.append(tx, [{ stream: "undone", expected: 0, events: [deposit(1n)] }]);
          throw new Error("rolled back");
        }),
      );
      await write(2);
      outbox.start();
      await until(() => queued.length === 2);
      await outbox.stop();
      assert.deepEqual(queued, ["s0-1", "s1-1"]);
    }));

  it("the outbox queues the last of the jobs that do the same work, and each of the others", () =>
    withItems(async ({ db, store, write }) => {
      const queued: string[] = [];
      const outbox = createOutbox({
        ...{ name: "alike", store, db, log },
        routes: ({ stream, version }) => [{ id: `${stream}-${version}`, work: stream === "s2" ? "other" : "same" }],
        alike: ({ work }) => work,
        enqueue: async (jobs) => void queued.push(...jobs.map(({ id }) => id)),
      });
      await write(4);
      outbox.start();
      await until(() => queued.length > 0);
      await outbox.stop();
      assert.deepEqual(queued.toSorted(), ["s2-1", "s3-1"]);
    }));
});

await onPostgres("concurrent writers", (backend) => {
  it("never show a polling reader a position before all lower ones", () =>
    withDatabase(backend, async ({ db, another }) => {
      const store = await itemStore(db);
      const writers = 6;
      const rounds = 25;
      let writing = true;
      const seen: bigint[] = [];
      const reading = (async () => {
        for (;;) {
          const complete = !writing;
          const events = await store.readAll(seen.at(-1) ?? 0n, 10);
          if (complete && events.length === 0) return;
          seen.push(...events.map(({ position }) => position));
        }
      })();
      const write = async (writer: number) => {
        const own = another();
        for (let round = 0; round < rounds; round++) {
          const append = own.tx(async (tx) => {
            await store.append(tx, [{ stream: `w${writer}-${round}`, expected: 0, events: [deposit(1n)] }]);
            if (Math.random() < 0.5) await tx.query("SELECT pg_sleep($1)", [Math.random() / 500]);
            if (round % 5 === 4) throw new Error("rolled back");
          });
          await append.catch(() => undefined);
          if (round % 5 === 4) {
            await own.tx((tx) =>
              store.append(tx, [{ stream: `w${writer}-${round}`, expected: 0, events: [deposit(1n)] }]),
            );
          }
        }
      };
      await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
      writing = false;
      await reading;
      assert.deepEqual(
        seen,
        Array.from({ length: writers * rounds }, (_, index) => BigInt(index + 1)),
      );
    }));
});
