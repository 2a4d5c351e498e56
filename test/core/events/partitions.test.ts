import assert from "node:assert/strict";
import { it } from "node:test";
import { migrate } from "#core/db/migrate.ts";
import type { PostgresDb } from "#core/db/postgres.ts";
import { inSnapshot } from "#core/db/snapshot.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { partitionSpan } from "#core/events/partitionOf.ts";
import { createPartitions } from "#core/events/partitions.ts";
import { createSubscription } from "#core/events/subscription.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { forEachDatabase, onPostgres, quietLog, withDatabase } from "#test/support/databases.ts";
import { deposit, itemStore } from "#test/support/items.ts";
import { until } from "#test/support/until.ts";
import { createVirtualClock } from "#test/support/virtualClock.ts";

const dayMs = 86_400_000;
const conflict = (error: unknown) => isLockstepError(error, "conflict");

async function partitioned(db: PostgresDb, stepMs = 30 * dayMs) {
  const store = await itemStore(db);
  const clock = createVirtualClock(Date.now());
  const partitions = createPartitions({ db, clock, log: quietLog, stepMs });
  const add = (stream: string, expected: number, amount = 1n) =>
    db.tx((tx) => store.append(tx, [{ stream, expected, events: [deposit(amount)] }]));
  /** Ends the present partition. */
  const turn = async () => {
    await partitions.keepUp();
    clock.advance(stepMs + dayMs);
    await partitions.keepUp();
  };
  return { store, clock, partitions, add, turn };
}

const tablesOf = async (db: PostgresDb): Promise<string[]> => {
  const rows = await db.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
      WHERE i.inhparent = 'events'::regclass ORDER BY name`,
  );
  return rows.map(({ name }) => name);
};

await forEachDatabase("partitions of events", (backend) => {
  it("begins another one when its time has come, and reads, rebuilds and rewinds across all of them", () =>
    withDatabase(backend, async ({ db }) => {
      const { store, partitions, add, turn, clock } = await partitioned(db);
      await partitions.keepUp();
      clock.advance(90 * dayMs);
      await partitions.keepUp();
      assert.equal((await partitions.list()).filter(({ closedAt }) => closedAt).length, 0, "an empty one goes on");
      await add("a", 0);
      await turn();
      await add("a", 1);
      await add("b", 0);
      await turn();
      await add("a", 2);
      const all = await store.readAll(0n, 10);
      assert.deepEqual(
        all.map(({ stream, version, position }) => [stream, version, position]),
        [
          ["a", 1, 1n],
          ["a", 2, partitionSpan],
          ["b", 1, partitionSpan + 1n],
          ["a", 3, 2n * partitionSpan],
        ],
      );
      assert.deepEqual(
        await store.load(db, "a"),
        all.filter(({ stream }) => stream === "a"),
      );
      assert.deepEqual(await store.bounds(), { first: 1n, last: 2n * partitionSpan });
      const closed = (await partitions.list()).map(({ place, closedAt }) => [place, closedAt !== undefined]);
      assert.deepEqual(closed, [
        [0n, true],
        [1n, true],
        [2n, false],
        [3n, false],
      ]);
      const before = await db.query("SELECT * FROM balances ORDER BY stream");
      await store.rebuild("balances");
      assert.deepEqual(await db.query("SELECT * FROM balances ORDER BY stream"), before);
      const seen: bigint[] = [];
      const reader = createSubscription({
        ...{ name: "reader", store, db, log: quietLog, batch: 2 },
        handle: async (events) => void seen.push(...events.map(({ position }) => position)),
      });
      reader.start();
      await until(() => seen.length === 4);
      await reader.rewind(0n);
      await until(() => seen.length === 8);
      await reader.stop();
      assert.deepEqual(
        seen,
        [...all, ...all].map(({ position }) => position),
      );
    }));

  it("refuses a version that is in another partition", () =>
    withDatabase(backend, async ({ db }) => {
      const { add, turn, store } = await partitioned(db);
      await add("a", 0);
      await turn();
      await assert.rejects(add("a", 0), conflict);
      await assert.rejects(add("a", 2), conflict);
      await add("a", 1);
      const [last] = await db.tx((tx) => store.append(tx, [{ stream: "a", expected: "any", events: [deposit(1n)] }]));
      assert.equal(last?.version, 3);
    }));

  it("joins what is left of closed ones to the first", () =>
    withDatabase(backend, async ({ db }) => {
      const { partitions, add, turn, store } = await partitioned(db);
      for (const [version, stream] of ["a", "b", "c"].entries()) {
        await add("all", version);
        await add(stream, 0);
        await turn();
      }
      await add("a", 1);
      const before = await store.readAll(0n, 100);
      assert.deepEqual(await tablesOf(db), ["events_0", "events_1", "events_2", "events_3", "events_4"]);
      assert.equal(await partitions.carryOver(), 2);
      assert.deepEqual(await tablesOf(db), ["events_0", "events_3", "events_4"]);
      assert.deepEqual(await store.readAll(0n, 100), before);
      await assert.rejects(add("a", 1), conflict);
      await add("b", 1);
      await turn();
      assert.equal(await partitions.carryOver(), 1, "and once more, into what was joined before");
      assert.equal((await store.readAll(0n, 100)).length, before.length + 1);
    }));

  it("joins what little is left however much the first one holds, and leaves alone what has much left", () =>
    withDatabase(backend, async ({ db }) => {
      const { partitions, add, turn } = await partitioned(db);
      const leave = (stream: string, after: bigint, count: number) =>
        db.query(
          `INSERT INTO events SELECT $1::bigint + n, $2 || n, 1, 'Deposited', '{"amount":"1"}', now() FROM generate_series(1, $3) n`,
          [after, stream, count],
        );
      await add("first", 0);
      await leave("first-", 1n, 6_000);
      for (const place of [1n, 2n]) {
        await turn();
        await add(`last-${place}`, 0);
        await leave(`left-${place}-`, place * partitionSpan, place === 1n ? 100 : 6_000);
      }
      await turn();
      assert.equal(await partitions.carryOver(), 1);
      assert.deepEqual(await tablesOf(db), ["events_0", "events_2", "events_3", "events_4"]);
      const [count] = await db.query<{ count: bigint }>("SELECT count(*) FROM events_0");
      assert.equal(count?.count, 6_102n);
    }));

  it("takes the events that a database has from before as the first partition", () =>
    withDatabase(backend, async ({ db }) => {
      await migrate(db, eventMigrations.slice(0, 1));
      await db.query(
        `INSERT INTO events SELECT n, 'old-' || n % 7, (n + 6) / 7, 'Deposited', '{"amount":"1"}', '2026-01-01' FROM generate_series(1, 70) n`,
      );
      await db.query("UPDATE event_counter SET position = 70");
      const { store, add, partitions } = await partitioned(db);
      assert.equal((await store.readAll(0n, 100)).length, 70);
      await assert.rejects(add("old-1", 9), conflict);
      await add("old-1", 10);
      assert.equal((await partitions.list())[0]?.openedAt.toISOString(), "2026-01-01T00:00:00.000Z");
    }));
});

await onPostgres("partitions of events that many write to", (backend) => {
  it("never has two events of one version, also when a partition ends between the look and the write", () =>
    withDatabase(backend, async (database) => {
      const { db } = database;
      const { store, add, partitions } = await partitioned(db);
      await partitions.keepUp();
      await add("a", 0);
      const other = database.another();
      const holds = Promise.withResolvers<void>();
      // Holds the counter while another append has looked at versions already, and ends the partition meanwhile.
      const first = other.tx(async (tx) => {
        await store.append(tx, [{ stream: "a", expected: 1, events: [deposit(1n)] }]);
        holds.resolve();
        await someoneWaits(other);
        await tx.query("UPDATE event_counter SET position = $1", [partitionSpan - 1n]);
      });
      await holds.promise;
      const second = add("a", 1);
      second.catch(() => undefined);
      await first;
      await assert.rejects(second, conflict);
      assert.deepEqual(
        (await store.load(db, "a")).map(({ version }) => version),
        [1, 2],
      );
    }));

  it("keeps versions single while eight write to four streams and partitions end all the time", () =>
    withDatabase(backend, async (database) => {
      const { db } = database;
      const { store, partitions, clock } = await partitioned(db, dayMs);
      let done = false;
      let [won, lost] = [0, 0];
      const writer = async (writing: PostgresDb) => {
        for (let n = 0; n < 60; n++) {
          const stream = `s${n % 4}`;
          const expected = (await store.load(db, stream)).length;
          try {
            await writing.tx((tx) => store.append(tx, [{ stream, expected, events: [deposit(1n)] }]));
            won += 1;
          } catch (error) {
            if (!conflict(error)) throw error;
            lost += 1;
          }
        }
      };
      const turning = (async () => {
        while (!done) {
          clock.advance(2 * dayMs);
          await partitions.keepUp();
        }
      })();
      try {
        await Promise.all(Array.from({ length: 8 }, () => writer(database.another())));
      } finally {
        done = true;
        await turning;
      }
      const doubled = await db.query("SELECT stream, version FROM events GROUP BY 1, 2 HAVING count(*) > 1");
      assert.deepEqual(doubled, []);
      const [row] = await db.query<{ count: bigint; gaps: bigint }>(
        `SELECT count(*) AS count, (SELECT count(*) FROM (
           SELECT stream FROM events GROUP BY stream HAVING max(version) <> count(*)) AS gap) AS gaps FROM events`,
      );
      assert.deepEqual(row, { count: BigInt(won), gaps: 0n });
      assert.ok(lost > 0 && (await tablesOf(db)).length > 4, `${lost} lost`);
    }));
});

await onPostgres("a moment of the events", (backend) => {
  it("goes on showing what partitions had that are joined meanwhile", () =>
    withDatabase(backend, async ({ db }) => {
      const { partitions, add, turn } = await partitioned(db);
      await add("a", 0);
      await turn();
      await add("a", 1);
      await turn();
      await add("a", 2);
      const counted = await inSnapshot(db, "READ ONLY", ["events"], async (from) => {
        await from.query("SELECT 1");
        assert.equal(await partitions.carryOver(), 0, "it waits for who reads");
        const [row] = await from.query<{ count: bigint }>("SELECT count(*) AS count FROM events");
        return row?.count;
      });
      assert.equal(counted, 3n);
      assert.equal(await partitions.carryOver(), 1);
    }));
});

/** Resolves once another session of the database waits for a lock. */
async function someoneWaits(db: PostgresDb): Promise<void> {
  await until(async () => {
    const rows = await db.pool.query(
      "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()",
    );
    return rows.rows.length > 0;
  });
}
