import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import type { Tx } from "#core/db/db.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import type { StoredEvent } from "#core/events/store.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { forEachDatabase, type OpenDatabase, quietLog, withDatabase } from "#test/support/databases.ts";
import { deposit, itemEvents, itemStore } from "#test/support/items.ts";
import { until } from "#test/support/until.ts";

const code = (wanted: string) => (error: unknown) => isLockstepError(error) && error.code === wanted;

await forEachDatabase("event store", (backend) => {
  const withStore = (work: (world: OpenDatabase & { store: Awaited<ReturnType<typeof itemStore>> }) => Promise<void>) =>
    withDatabase(backend, async (database) => work({ ...database, store: await itemStore(database.db) }));

  it("numbers streams and the whole, keeps amounts exact and stores them as decimal text", () =>
    withStore(async ({ db, store }) => {
      const huge = 2n ** 255n + 1n;
      const stored = await db.tx((tx) =>
        store.append(tx, [
          { stream: "a", expected: 0, events: [deposit(huge), { type: "Renamed", data: { name: "x" } }] },
          { stream: "b", expected: 0, events: [deposit(1n)] },
        ]),
      );
      assert.deepEqual(
        stored.map(({ position, stream, version }) => [position, stream, version]),
        [
          [1n, "a", 1],
          [2n, "a", 2],
          [3n, "b", 1],
        ],
      );
      assert.deepEqual(await store.load(db, "a"), stored.slice(0, 2));
      assert.deepEqual(await store.readAll(1n, 1), stored.slice(1, 2));
      assert.deepEqual([...(await store.loadMany(db, ["b", "none", "a", "a"])).keys()].toSorted(), ["a", "b"]);
      assert.deepEqual(await store.load(db, "none"), []);
      const [row] = await db.query<{ data: unknown }>("SELECT data FROM events WHERE position = 1");
      assert.deepEqual(row?.data, { amount: huge.toString() });
    }));

  it("knows again only what was committed, and reads anew what it was wrong about", () =>
    withStore(async ({ db, store }) => {
      const append = (tx: Tx, expected: number, amount: bigint) =>
        store.append(tx, [{ stream: "a", expected, events: [deposit(amount)] }]);
      const amounts = async () => (await store.load(db, "a")).map(({ data }) => data);
      await db.tx((tx) => append(tx, 0, 1n));
      assert.deepEqual(await amounts(), [{ amount: 1n }]);
      const undone = db.tx(async (tx) => {
        await append(tx, 1, 2n);
        assert.equal((await store.load(tx, "a")).length, 2, "its own transaction sees it");
        assert.equal((await store.loadMany(tx, ["a"])).get("a")?.length, 2);
        throw new Error("taken back");
      });
      await assert.rejects(undone, /taken back/);
      assert.deepEqual(await amounts(), [{ amount: 1n }]);
      await db.tx((tx) => append(tx, 1, 3n));
      assert.deepEqual(await amounts(), [{ amount: 1n }, { amount: 3n }]);
      // A database that was put back to an older state.
      await db.query("DELETE FROM events WHERE version = 2");
      await assert.rejects(
        db.tx((tx) => append(tx, 2, 4n)),
        code("conflict"),
      );
      assert.deepEqual(await amounts(), [{ amount: 1n }]);
    }));

  it("asks an archive for what is not there, and lets nobody else wait for it", () =>
    withDatabase(backend, async ({ db }) => {
      const gate = Promise.withResolvers<void>();
      const asked: (readonly string[])[] = [];
      const here = await itemStore(db, {
        async archived(streams) {
          asked.push(streams);
          await gate.promise;
          return new Map(stored && streams.includes("gone") ? [["gone", stored]] : []);
        },
      });
      const stored = await db.tx((tx) => here.append(tx, [{ stream: "a", expected: 0, events: [deposit(1n)] }]));
      const gone = [here.load(db, "gone"), here.loadMany(db, ["gone", "a", "gone"])] as const;
      for (let round = 0; round < 3; round++) {
        const found = await Promise.all([here.load(db, "a"), here.loadMany(db, ["a"])]);
        assert.deepEqual(found, [stored, new Map([["a", stored]])]);
      }
      assert.deepEqual(await db.tx((tx) => here.load(tx, "gone")), [], "nothing waits inside a transaction");
      gate.resolve();
      const [one, many] = await Promise.all(gone);
      assert.deepEqual(one, stored);
      assert.deepEqual([...many.keys()].toSorted(), ["a", "gone"]);
      assert.deepEqual(asked, [["gone"], ["gone"]]);
    }));

  it("asks the archive for what has left, also where it remembers how that began", () =>
    withDatabase(backend, async ({ db }) => {
      const other = await itemStore(db);
      const whole: StoredEvent[] = [];
      const here = await itemStore(db, { archived: async () => new Map([["a", whole]]) });
      whole.push(...(await db.tx((tx) => other.append(tx, [{ stream: "a", expected: 0, events: [deposit(1n)] }]))));
      await db.tx((tx) => other.append(tx, [{ stream: "b", expected: 0, events: [deposit(1n)] }]));
      assert.equal((await here.loadMany(db, ["a", "b"])).size, 2);
      whole.push(...(await db.tx((tx) => other.append(tx, [{ stream: "a", expected: 1, events: [deposit(2n)] }]))));
      await db.query("DELETE FROM events WHERE stream = 'a'");
      await db.query("UPDATE event_counter SET archivals = archivals + 1");
      const reads = [here.load(db, "b"), here.load(db, "a"), db.tx((tx) => here.load(tx, "a"))];
      assert.deepEqual(
        (await Promise.all(reads)).map((events) => events.length),
        [1, 2, 0],
      );
      assert.deepEqual((await here.loadMany(db, ["a", "b"])).get("a"), whole);
    }));

  it("takes several appends in one transaction, also to one stream, and shows them to that transaction", () =>
    withStore(async ({ db, store }) => {
      await db.tx(async (tx) => {
        await store.append(tx, [{ stream: "a", expected: 0, events: [deposit(1n)] }]);
        await store.append(tx, [
          { stream: "a", expected: 1, events: [deposit(2n)] },
          { stream: "b", expected: 0, events: [] },
          { stream: "a", expected: 2, events: [deposit(3n)] },
        ]);
        assert.deepEqual(await tx.query("SELECT amount, last_position FROM balances"), [
          { amount: "6", last_position: 3n },
        ]);
      });
      assert.deepEqual(
        (await store.readAll(0n, 10)).map(({ position, version }) => [position, version]),
        [
          [1n, 1],
          [2n, 2],
          [3n, 3],
        ],
      );
    }));

  it("refuses every wrong version with nothing written, and the right one goes on without a hole", () =>
    withStore(async ({ db, store }) => {
      const append = (expected: number) =>
        db.tx((tx) => store.append(tx, [{ stream: "a", expected, events: [deposit(1n)] }]));
      await append(0);
      for (const wrong of [0, 2, 7]) await assert.rejects(append(wrong), code("conflict"));
      const [next] = await append(1);
      assert.equal(next?.position, 2n);
    }));

  it("writes nothing of many streams when one conflicts, projections included", () =>
    withStore(async ({ db, store }) => {
      await db.tx((tx) => store.append(tx, [{ stream: "a", expected: 0, events: [deposit(1n)] }]));
      const before = await db.query("SELECT * FROM balances");
      const both = db.tx(async (tx) => {
        await store.append(tx, [{ stream: "b", expected: 0, events: [deposit(5n)] }]);
        await store.append(tx, [
          { stream: "c", expected: 0, events: [deposit(5n)] },
          { stream: "a", expected: 0, events: [deposit(5n)] },
        ]);
      });
      await assert.rejects(both, code("conflict"));
      assert.deepEqual(await db.query("SELECT * FROM balances"), before);
      assert.equal((await store.readAll(0n, 10)).length, 1);
    }));

  it("undoes the append when a projection throws", () =>
    withStore(async ({ db, store }) => {
      const unlucky = db.tx((tx) =>
        store.append(tx, [{ stream: "a", expected: 0, events: [deposit(1n), deposit(13n)] }]),
      );
      await assert.rejects(unlucky, /unlucky/);
      assert.deepEqual(await store.readAll(0n, 10), []);
    }));

  it("lets exactly one of many writers of the same version win", () =>
    withStore(async ({ db, another, store }) => {
      const others = [db, another(), another()];
      const results = await Promise.allSettled(
        Array.from({ length: 12 }, (_, index) =>
          (others[index % 3] ?? db).tx((tx) => store.append(tx, [{ stream: "a", expected: 0, events: [deposit(1n)] }])),
        ),
      );
      const lost = results.filter((result) => result.status === "rejected");
      assert.equal(lost.length, 11);
      for (const { reason } of lost) assert.ok(isLockstepError(reason, "conflict"), String(reason));
    }));

  it("refuses types without a schema and data that does not fit, on the way in and on the way out", () =>
    withStore(async ({ db, store }) => {
      const append = (type: string, data: unknown) =>
        db.tx((tx) => store.append(tx, [{ stream: "a", expected: 0, events: [{ type, data }] }]));
      await assert.rejects(append("Invented", {}), code("event-unknown"));
      await assert.rejects(append("Deposited", { amount: "1" }), code("event-invalid"));
      await assert.rejects(append("Deposited", { amount: -1n }), code("event-invalid"));
      await db.tx((tx) => store.append(tx, [{ stream: "a", expected: 0, events: [deposit(1n)] }]));
      await db.query(`UPDATE events SET data = '{"amount": 1}'`);
      await assert.rejects(store.load(db, "a"), code("event-invalid"));
      const narrow = createEventStore({ db, schemas: { Renamed: itemEvents.Renamed }, log: quietLog });
      await assert.rejects(narrow.readAll(0n, 1), code("event-unknown"));
    }));

  it("rebuilds a read model to exactly what it was", () =>
    withStore(async ({ db, store }) => {
      const script = fc.array(
        fc.array(fc.record({ stream: fc.constantFrom("a", "b", "c"), amount: fc.bigInt({ min: 0n, max: 12n }) }), {
          maxLength: 4,
        }),
        { maxLength: 6 },
      );
      const versions = new Map<string, number>();
      await fc.assert(
        fc.asyncProperty(script, async (transactions) => {
          for (const writes of transactions) {
            await db.tx(async (tx) => {
              for (const { stream, amount } of writes) {
                const expected = versions.get(stream) ?? 0;
                await store.append(tx, [{ stream, expected, events: [deposit(amount)] }]);
                versions.set(stream, expected + 1);
              }
            });
          }
          const live = await db.query("SELECT * FROM balances ORDER BY stream");
          await db.query("UPDATE balances SET amount = 999");
          await store.rebuild("balances");
          assert.deepEqual(await db.query("SELECT * FROM balances ORDER BY stream"), live);
        }),
        { numRuns: 5 },
      );
      await assert.rejects(store.rebuild("none"), code("not-found"));
    }));

  it("appends thousands of streams in one call", () =>
    withStore(async ({ db, store }) => {
      const appends = Array.from({ length: 3_000 }, (_, index) => ({
        stream: `s${index}`,
        expected: 0,
        events: [{ type: "Renamed", data: { name: "y".repeat(100) } }],
      }));
      const stored = await db.tx((tx) => store.append(tx, appends));
      assert.equal(stored.at(-1)?.position, 3_000n);
      const found = await store.loadMany(
        db,
        appends.map(({ stream }) => stream),
      );
      assert.equal(found.size, 3_000);
    }));

  it("wakes readers in this process and in others", () =>
    withStore(async ({ db, another, store }) => {
      const woken: string[] = [];
      const stop = store.onAppended(() => woken.push("own"));
      const remote = createEventStore({ db: another(), schemas: itemEvents, log: quietLog });
      remote.onAppended(() => woken.push("remote"));
      let version = 0;
      await until(async () => {
        await db.tx((tx) => store.append(tx, [{ stream: "a", expected: version, events: [deposit(1n)] }]));
        version += 1;
        return woken.includes("remote") && woken.includes("own");
      });
      stop();
    }));
});
