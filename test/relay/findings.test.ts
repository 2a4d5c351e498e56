import assert from "node:assert/strict";
import { it } from "node:test";
import { migrate } from "#core/db/migrate.ts";
import { createFindings, findingMigrations, laneFindings } from "#relay/findings.ts";
import { onDatabase, withDatabase } from "../support/databases.ts";
import { lane } from "./samples.ts";

await onDatabase("what is found of a lane", (backend) => {
  it("is kept once, whichever process finds it, and found anew after another one saw it mended", () =>
    withDatabase(backend, async ({ db }) => {
      await migrate(db, findingMigrations);
      const [one, other] = [createFindings(db), createFindings(db)];
      const words = async () => [...(await laneFindings(db)).values()].map(({ detail }) => detail);
      const set = (who: typeof one, detail: string | undefined) => who.set(lane, "beta", "lane-diverged", detail);
      assert.equal(await set(one, undefined), false);
      assert.deepEqual([await set(one, "up to 3"), await set(other, "up to 3")], [true, false]);
      assert.equal(await set(other, "up to 4"), true);
      assert.deepEqual(await words(), ["up to 4"]);
      assert.deepEqual([await set(one, "up to 3"), await words()], [true, ["up to 3"]]);
      assert.equal(await set(other, undefined), true);
      assert.deepEqual([await set(one, "up to 3"), await words()], [true, ["up to 3"]]);
    }));
});
