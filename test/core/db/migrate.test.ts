import assert from "node:assert/strict";
import { it } from "node:test";
import type { Migration } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { forEachDatabase, withDatabase } from "#test/support/databases.ts";

const first: Migration = { id: "letters/001-a", sql: "CREATE TABLE a (id int); INSERT INTO a VALUES (1)" };
const second: Migration = { id: "letters/002-b", sql: "INSERT INTO a VALUES (2)" };
const other: Migration = { id: "digits/001-one", sql: "CREATE TABLE one (id int)" };
const newer = (error: unknown) => isLockstepError(error, "database-newer");

await forEachDatabase("migrations", (backend) => {
  it("are applied once each, in order, also when several processes start at once", () =>
    withDatabase(backend, async ({ db, another }) => {
      const all = [db, another(), another(), another()];
      await Promise.all(all.map((each) => migrate(each, [first, second])));
      await migrate(db, [first, second, other]);
      assert.deepEqual(await db.query("SELECT id FROM a ORDER BY id"), [{ id: 1 }, { id: 2 }]);
      assert.deepEqual(await db.query("SELECT id FROM migrations ORDER BY place"), [
        { id: first.id },
        { id: second.id },
        { id: other.id },
      ]);
    }));

  it("do not mind scopes that are not in the list", () =>
    withDatabase(backend, async ({ db }) => {
      await migrate(db, [first]);
      await migrate(db, [other]);
      assert.deepEqual(await db.query("SELECT * FROM one"), []);
    }));

  it("are refused as a whole when the database knows more, other, or differently ordered ones", () =>
    withDatabase(backend, async ({ db }) => {
      await migrate(db, [first, second]);
      await assert.rejects(migrate(db, [other, first]), newer);
      await assert.rejects(migrate(db, [other, second, first]), newer);
      await assert.rejects(migrate(db, [other, { ...first, sql: "SELECT 1" }, second]), newer);
      await assert.rejects(db.query("SELECT * FROM one"), /relation "one" does not exist/);
    }));

  it("leave nothing behind when one fails", () =>
    withDatabase(backend, async ({ db }) => {
      await assert.rejects(migrate(db, [first, { id: "letters/002-b", sql: "CREATE TABLE nonsense (" }]));
      await migrate(db, [first]);
      assert.deepEqual(await db.query("SELECT id FROM a"), [{ id: 1 }]);
    }));
});
