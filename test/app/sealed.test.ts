import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { sealedTables } from "#app/sealed.ts";
import { migrations } from "#app/stored.ts";
import { migrate } from "#core/db/migrate.ts";
import { type OpenDatabase, openBackend } from "../support/databases.ts";

describe("what the sealing key is needed for", () => {
  let database: OpenDatabase;
  before(async () => {
    database = await (await openBackend()).open();
    await migrate(database.db, migrations);
  });
  after(() => database.close());

  it("is known to a rotation, every table of it, with a key that names its rows", async () => {
    const found = await database.db.query<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.columns
       WHERE table_schema = $1 AND data_type = 'bytea' AND column_name NOT IN ('hash', 'fingerprint', 'body_hash') ORDER BY 1`,
      [database.db.schema],
    );
    assert.deepEqual(
      found.map(({ name }) => name),
      sealedTables.map(({ table }) => table).sort(),
    );
    for (const { table, key } of sealedTables) {
      const columns = await database.db.query<{ name: string }>(
        `SELECT a.attname AS name FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY(i.indkey)
         WHERE i.indrelid = $1::regclass AND i.indisprimary`,
        [table],
      );
      assert.deepEqual(columns.map(({ name }) => name).sort(), [...key].sort());
    }
  });
});
