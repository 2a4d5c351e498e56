import assert from "node:assert/strict";
import { it } from "node:test";
import { isLockstepError } from "#core/kernel/errors.ts";
import { forEachDatabase, withDatabase } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

const code = (wanted: string) => (error: unknown) => isLockstepError(error) && error.code === wanted;

await forEachDatabase("database", (backend) => {
  const withTable = (work: Parameters<typeof withDatabase<void>>[1]) =>
    withDatabase(backend, async (database) => {
      const { db, schema } = database;
      await db.query(`CREATE SCHEMA ${schema}`);
      await db.query("CREATE TABLE item (id int8 PRIMARY KEY, note text, data jsonb)");
      await work(database);
    });

  it("answers int8 as bigint, numeric as text, and takes several statements at once", () =>
    withTable(async ({ db }) => {
      await db.query("INSERT INTO item VALUES (1, 'a'); INSERT INTO item VALUES (9007199254740993, 'b')");
      const rows = await db.query(
        "SELECT id, 1.50::numeric AS n, ARRAY[1::int8, NULL] AS l FROM item ORDER BY id DESC",
      );
      assert.deepEqual(rows[0], { id: 9007199254740993n, n: "1.50", l: [1n, null] });
    }));

  it("keeps tables in its own schema", () =>
    withTable(async ({ db, schema }) => {
      assert.deepEqual(
        await db.query("SELECT schemaname FROM pg_tables WHERE tablename = 'item' AND schemaname = $1", [schema]),
        [{ schemaname: schema }],
      );
    }));

  it("commits what resolves, rolls back what throws, and calls hooks only after a commit", () =>
    withTable(async ({ db }) => {
      const hooks: string[] = [];
      await db.tx(async (tx) => {
        tx.afterCommit(() => hooks.push("committed"));
        await tx.query("INSERT INTO item VALUES (1)");
        assert.deepEqual(hooks, []);
      });
      const failure = new Error("no");
      const failing = db.tx(async (tx) => {
        tx.afterCommit(() => hooks.push("rolled back"));
        await tx.query("INSERT INTO item VALUES (2)");
        throw failure;
      });
      await assert.rejects(failing, failure);
      assert.deepEqual(hooks, ["committed"]);
      assert.deepEqual(await db.query("SELECT id FROM item"), [{ id: 1n }]);
    }));

  it("refuses to commit when the error of a statement was swallowed", () =>
    withTable(async ({ db }) => {
      const swallowing = db.tx(async (tx) => {
        await tx.query("INSERT INTO item VALUES (1)");
        await tx.query("SELECT no_such_column").catch(() => undefined);
      });
      await assert.rejects(swallowing, code("internal"));
      assert.deepEqual(await db.query("SELECT id FROM item"), []);
    }));

  it("refuses the database inside a transaction, and the transaction after its end", () =>
    withTable(async ({ db }) => {
      await db.tx(async () => {
        await assert.rejects(db.query("SELECT 1"), code("database-rule"));
        await assert.rejects(
          db.tx(async () => undefined),
          code("database-rule"),
        );
        await assert.rejects(
          db.listen("channel", () => undefined),
          code("database-rule"),
        );
      });
      const kept = await db.tx(async (tx) => tx);
      await assert.rejects(kept.query("SELECT 1"), code("database-rule"));
    }));

  it("may use the database again from work that a transaction started and did not wait for", () =>
    withTable(async ({ db }) => {
      let later: Promise<unknown> = Promise.resolve();
      await db.tx(async (tx) => {
        const ended = Promise.withResolvers<void>();
        tx.afterCommit(ended.resolve);
        later = ended.promise.then(() => db.query("SELECT 1 AS one"));
      });
      assert.deepEqual(await later, [{ one: 1 }]);
    }));

  it("runs statements of a Promise.all in one transaction", () =>
    withTable(async ({ db }) => {
      await db.tx(async (tx) => {
        await Promise.all([1, 2, 3].map((id) => tx.query("INSERT INTO item VALUES ($1)", [id])));
      });
      assert.equal((await db.query("SELECT id FROM item")).length, 3);
    }));

  it("keeps the statements of many connections apart, also with parameters of a megabyte", () =>
    withTable(async ({ db, another }) => {
      const big = "x".repeat(1_000_000);
      const ask = async (index: number) => {
        const from = index % 2 ? db : another();
        for (let round = 0; round < 4; round++) {
          const [long] = await from.query<{ length: number }>("SELECT length($1::text)", [big]);
          assert.equal(long?.length, big.length);
          const [pair] = await from.query("SELECT $1::int AS a, $2::text AS b", [index, `${round}`]);
          assert.deepEqual(pair, { a: index, b: `${round}` });
        }
      };
      await Promise.all([1, 2, 3, 4, 5, 6].map(ask));
    }));

  it("keeps two writers of one row apart", () =>
    withTable(async ({ db, another }) => {
      await db.query("INSERT INTO item VALUES (1, '0')");
      const increment = (from: typeof db) =>
        from.tx(async (tx) => {
          const [row] = await tx.query<{ note: string }>("SELECT note FROM item WHERE id = 1 FOR UPDATE");
          await tx.query("UPDATE item SET note = $1", [`${Number(row?.note) + 1}`]);
        });
      const other = another();
      await Promise.all(Array.from({ length: 20 }, (_, index) => increment(index % 2 ? db : other)));
      assert.deepEqual(await db.query("SELECT note FROM item"), [{ note: "20" }]);
    }));

  it("hears notifications of every connection", () =>
    withTable(async ({ db, another, schema }) => {
      const heard: string[] = [];
      const stop = await db.listen(`${schema}_one`, (payload) => heard.push(payload));
      await db.listen(`${schema}_two`, (payload) => heard.push(payload));
      await db.query(`NOTIFY ${schema}_one, 'own'`);
      await another().tx(async (tx) => {
        await tx.query("SELECT pg_notify($1, 'other')", [`${schema}_two`]);
      });
      await until(() => heard.length === 2);
      assert.deepEqual(heard.toSorted(), ["other", "own"]);
      await stop();
      await db.query(`NOTIFY ${schema}_one, 'unheard'; NOTIFY ${schema}_two, 'last'`);
      await until(() => heard.includes("last"));
      assert.ok(!heard.includes("unheard"));
    }));
});
