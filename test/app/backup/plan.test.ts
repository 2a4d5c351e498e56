import assert from "node:assert/strict";
import { it } from "node:test";
import { backupPlan } from "#app/backup/plan.ts";
import { migrations } from "#app/stored.ts";
import { tablesOf } from "#core/backup/catalog.ts";
import { migrate } from "#core/db/migrate.ts";
import { openBackend, withDatabase } from "#test/support/databases.ts";

it("says of every table of the service once whether it is in backups, and if not, why", async () =>
  withDatabase(await openBackend(), async ({ db, schema }) => {
    await migrate(db, migrations);
    const said = [...backupPlan.kept.map(({ name }) => name), ...Object.keys(backupPlan.leftOut)];
    assert.deepEqual(said.toSorted(), await tablesOf(db, schema));
    for (const [table, why] of Object.entries(backupPlan.leftOut)) assert.ok(why.length > 10, table);
  }));

it("fills tables after those that their rows refer to", async () =>
  withDatabase(await openBackend(), async ({ db, schema }) => {
    await migrate(db, migrations);
    const order = backupPlan.kept.map(({ name }) => name);
    const references = await db.query<{ from: string; to: string }>(
      `SELECT c.conrelid::regclass::text AS from, c.confrelid::regclass::text AS to FROM pg_constraint c
       JOIN pg_namespace n ON n.oid = c.connamespace WHERE n.nspname = $1 AND c.contype = 'f'`,
      [schema],
    );
    assert.ok(references.length > 0);
    for (const { from, to } of references) assert.ok(order.indexOf(to) < order.indexOf(from), `${from} before ${to}`);
  }));
