import assert from "node:assert/strict";
import { it } from "node:test";
import { createDb } from "#core/db/postgres.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { onPostgres, quietLog, withDatabase } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

const unreachable = (error: unknown) => isLockstepError(error, "database-unreachable");

it("names a database that nobody serves", async () => {
  const db = createDb({ connectionString: "postgres://postgres@127.0.0.1:1/none", log: quietLog });
  await assert.rejects(db.query("SELECT 1"), unreachable);
  await assert.rejects(
    db.tx(async () => undefined),
    unreachable,
  );
  await assert.rejects(
    db.listen("channel", () => undefined),
    unreachable,
  );
  await db.close();
});

await onPostgres("database under failures", (backend) => {
  it("recovers when the server ends its connections, and listens again", () =>
    withDatabase(backend, async ({ db, another }) => {
      const heard: string[] = [];
      await db.listen("channel", (payload) => heard.push(payload));
      const sleeping = assert.rejects(db.query("SELECT pg_sleep(60)"), unreachable);
      const inTransaction = assert.rejects(
        db.tx(async (tx) => {
          await tx.query("SELECT pg_sleep(60)");
        }),
        unreachable,
      );
      const admin = another();
      const count = (state: string) =>
        `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND ${state}`;
      await until(async () => (await admin.query(count("query LIKE 'SELECT pg_sleep%'"))).length === 2);
      await admin.query(`SELECT pg_terminate_backend(pid) FROM (${count("pid <> pg_backend_pid()")}) AS other`);
      await Promise.all([sleeping, inTransaction]);
      assert.deepEqual(await db.query("SELECT 1 AS one"), [{ one: 1 }]);
      await until(() => heard.includes(""), "the call after reconnecting");
      await db.query("NOTIFY channel, 'again'");
      await until(() => heard.includes("again"));
    }));

  it("runs a transaction again that met a deadlock", () =>
    withDatabase(backend, async ({ db, schema }) => {
      await db.query(`CREATE SCHEMA ${schema}; CREATE TABLE item (id int PRIMARY KEY, hits int NOT NULL)`);
      await db.query("INSERT INTO item VALUES (1, 0), (2, 0)");
      let attempts = 0;
      const both = Promise.withResolvers<void>();
      const hit = (first: number, second: number) =>
        db.tx(async (tx) => {
          attempts += 1;
          await tx.query("UPDATE item SET hits = hits + 1 WHERE id = $1", [first]);
          if (attempts === 2) both.resolve();
          await both.promise;
          await tx.query("UPDATE item SET hits = hits + 1 WHERE id = $1", [second]);
        });
      await Promise.all([hit(1, 2), hit(2, 1)]);
      assert.equal(attempts, 3);
      assert.deepEqual(await db.query("SELECT hits FROM item"), [{ hits: 2 }, { hits: 2 }]);
    }));

  it("keeps start-up options of the connection string beside its own", () =>
    withDatabase(backend, async ({ connectionString }) => {
      const url = new URL(connectionString);
      url.searchParams.set("options", "-c statement_timeout=1234");
      const db = createDb({ connectionString: url.href, schema: "own", log: quietLog });
      const [row] = await db.query(
        "SELECT current_setting('statement_timeout') AS t, current_setting('search_path') AS s",
      );
      assert.deepEqual(row, { t: "1234ms", s: "own" });
      await db.close();
    }));
});
