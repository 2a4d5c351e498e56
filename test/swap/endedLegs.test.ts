import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import type { Db } from "#core/db/db.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { swapStream } from "#swap/events.ts";
import { createSwapIndex } from "#swap/readModel.ts";
import { type OpenDatabase, onPostgres, withDatabase } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";
import { detected, locked, refunded, reorged } from "./samples.ts";
import { swapWorld } from "./support.ts";

const later = new Date(900_000);

/** Legs that say of their swap's end something else than the swap itself. */
const inconsistent = (db: Db) =>
  db.query(`select lock_id, l.ended, w.due_at from swap_legs l join swaps w on w.id = l.swap_id
             where l.ended <> (w.due_at is null)`);
const endedLegs = async (db: Db) => (await db.query("select 1 from swap_legs where ended")).length;

/** Statements of this test's schema that wait for a lock. */
const waiting = async (db: Db) =>
  (
    await db.query(`select 1 from pg_stat_activity a join pg_locks k on k.pid = a.pid
                     where not k.granted and a.datname = current_database() and a.pid <> pg_backend_pid()`)
  ).length;

await onPostgres("legs of swaps that have ended", (backend) => {
  const inWorld =
    (work: (world: Awaited<ReturnType<typeof swapWorld>>, database: OpenDatabase) => Promise<void>) => () =>
      withDatabase(backend, async (database) => work(await swapWorld(database), database));

  it(
    "count again from the event on that is recorded while the swap is put down as ended",
    inWorld(async ({ db, append, swap }, database) => {
      await append(detected("source"), locked("source"), refunded("source"));
      const known = await swap();
      const ending = Promise.withResolvers<void>();
      const ended = database.another().tx(async (tx) => {
        await createSwapIndex(tx).schedule(known, undefined);
        await ending.promise;
      });
      const underWay = "select 1 from pg_locks where relation = 'swaps'::regclass and mode = 'RowExclusiveLock'";
      await until(async () => (await db.query(underWay)).length > 0, "the swap is put down as ended");
      const appended = append(reorged("source", "refund"));
      await until(async () => (await waiting(db)) > 0, "the event waits for the swap");
      ending.resolve();
      await Promise.all([ended, appended]);
      assert.deepEqual(await inconsistent(db), []);
      assert.equal(await endedLegs(db), 0);
    }),
  );

  it(
    "are those of swaps that are due no more, whatever happens at once",
    inWorld(async ({ db, index, append, swap, store }) => {
      const events = [detected("source"), locked("source"), refunded("source"), reorged("source", "refund")];
      const action = fc.oneof(
        fc.constantFrom(...events).map((event) => () => append(event)),
        fc.constantFrom(undefined, later).map((at) => async () => index.schedule(await swap(), at)),
        fc.constant(() => index.postpone("1", later)),
      );
      let ends = 0;
      const property = fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 6 }), async (actions) => {
        const outcomes = await Promise.allSettled(actions.map((act) => act()));
        for (const outcome of outcomes) {
          if (outcome.status === "rejected" && !isLockstepError(outcome.reason, "conflict")) throw outcome.reason;
        }
        assert.deepEqual(await inconsistent(db), []);
        ends += await endedLegs(db);
      });
      await fc.assert(property, { numRuns: 100 });
      assert.ok(ends > 0, "none ever ended");
      assert.ok((await store.load(db, swapStream("1"))).length > 20);
    }),
  );
});
