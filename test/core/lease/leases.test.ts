import assert from "node:assert/strict";
import { it } from "node:test";
import type { Db } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { createInstanceRoll, instanceMigrations } from "#core/lease/instances.ts";
import { createLeases, type LeaseKeeper } from "#core/lease/keeper.ts";
import type { Lease } from "#core/lease/lease.ts";
import { leaseMigrations, listTerms } from "#core/lease/tables.ts";
import { type OpenDatabase, onDatabase, quietLog } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";

const ms = 200;
const noReport = { busy: 0, memoryBytes: 0, unfit: [], halted: [], chains: [] };

/** A process as the database knows it, which can be paused as SIGSTOP does: nothing of it happens until it goes on. */
function createProcess(opened: OpenDatabase, id: string) {
  let slow = false;
  const db = opened.another();
  let running = Promise.withResolvers<void>();
  let writes = Promise.withResolvers<void>();
  running.resolve();
  writes.resolve();
  const pausable: Db = {
    ...db,
    query: async (text, params) => {
      await running.promise;
      return db.query(text, params);
    },
    async tx(work) {
      await writes.promise;
      return db.tx(work);
    },
  };
  const facts = { id, name: id, host: "here", pid: 1, version: "0", roles: [] };
  const roll = createInstanceRoll({
    db: pausable,
    facts,
    ms,
    report: () => ({ ...noReport, slow }),
    onDrain: () => undefined,
  });
  const keeper = createLeases({
    ...{ db: pausable, instance: id, ms, rollCall: roll.call, clock: systemClock, log: quietLog },
  });
  const works = new Map<string, { lease: Lease; active: boolean }>();
  return {
    id,
    keeper,
    roll,
    works,
    pause() {
      running = Promise.withResolvers();
      writes = running;
    },
    /** It hears of nothing any more, but goes on with what it does. */
    deafen() {
      running = Promise.withResolvers();
    },
    goOn: () => running.resolve(),
    becomeSlow() {
      slow = true;
    },
    contend(name: string) {
      const lease = keeper.of(name);
      const work = { lease, active: false };
      works.set(name, work);
      lease.contend({
        start: () => {
          assert.ok(!work.active, "begun twice");
          work.active = true;
        },
        stop: async () => {
          await systemClock.sleep(1);
          work.active = false;
        },
      });
      return work;
    },
  };
}

type Process = ReturnType<typeof createProcess>;
const activeAt = (processes: readonly Process[], name: string) =>
  processes.filter(({ works }) => works.get(name)?.active).map(({ id }) => id);
const countOf = ({ keeper }: { keeper: LeaseKeeper }) => keeper.held().length;

await onDatabase("leases", (backend) => {
  const withProcesses = async (count: number, work: (all: Process[], opened: OpenDatabase) => Promise<void>) => {
    const opened = await backend.open();
    await migrate(opened.db, [...instanceMigrations, ...leaseMigrations]);
    const all = Array.from({ length: count }, (_, at) => createProcess(opened, `p${at}`));
    try {
      await work(all, opened);
    } finally {
      for (const each of all) each.goOn();
      await Promise.all(all.map(({ keeper }) => keeper.stop()));
      await opened.close();
    }
  };
  const lost = (error: unknown) => isLockstepError(error, "lease-lost");

  it("give work to one process, and to another once it is silent", () =>
    withProcesses(3, async (all, { db }) => {
      for (const each of all) {
        each.contend("job/a");
        await each.keeper.start();
      }
      await until(() => activeAt(all, "job/a").length === 1);
      const [first] = all.filter(({ works }) => works.get("job/a")?.active);
      assert.ok(first);
      first.pause();
      await until(() => activeAt(all, "job/a").length === 2);
      const [second] = all.filter((each) => each !== first && each.works.get("job/a")?.active);
      assert.ok(second);
      first.goOn();
      await until(() => activeAt(all, "job/a").length === 1);
      assert.deepEqual(activeAt(all, "job/a"), [second.id]);
      const terms = await listTerms(db, "job/a", 10);
      assert.deepEqual(
        terms.map(({ term, holder }) => [term, holder]),
        [
          [2n, second.id],
          [1n, first.id],
        ],
      );
    }));

  it("let nobody write who has lost one, whatever it believes", () =>
    withProcesses(2, async ([one, two], { db }) => {
      await db.query("CREATE TABLE written (by text)");
      const mine = one!.contend("job/a");
      await one!.keeper.start();
      await until(() => mine.active);
      two!.contend("job/a");
      await two!.keeper.start();
      one!.deafen();
      await until(() => two!.works.get("job/a")!.active);
      assert.ok(mine.lease.isHeld(), "it has not heard of it");
      await assert.rejects(
        mine.lease.db.tx((tx) => tx.query("INSERT INTO written VALUES ('one')")),
        lost,
      );
      await two!.works.get("job/a")!.lease.db.tx((tx) => tx.query("INSERT INTO written VALUES ('two')"));
      assert.deepEqual(await db.query("SELECT * FROM written"), [{ by: "two" }]);
    }));

  it("are shared evenly, also when a process comes, leaves, or gives its work up", () =>
    withProcesses(3, async (all) => {
      const [one, two, three] = all as [Process, Process, Process];
      const names = Array.from({ length: 6 }, (_, at) => `job/${at}`);
      for (const name of names) one.contend(name);
      await one.keeper.start();
      await until(() => countOf(one) === 6);
      for (const each of [two, three]) {
        for (const name of names) each.contend(name);
        await each.keeper.start();
      }
      await until(() => all.every((each) => countOf(each) === 2));
      for (const name of names) await until(() => activeAt(all, name).length === 1);
      await two.keeper.drain();
      assert.equal(countOf(two), 0);
      assert.ok([...two.works.values()].every(({ active }) => !active));
      await two.roll.leave();
      await until(() => countOf(one) === 3 && countOf(three) === 3);
    }));

  it("go from a process that is behind to others, which get twice as many", () =>
    withProcesses(2, async (all) => {
      const [one, two] = all as [Process, Process];
      const names = Array.from({ length: 6 }, (_, at) => `job/${at}`);
      for (const each of all) {
        for (const name of names) each.contend(name);
        await each.keeper.start();
      }
      await until(() => countOf(one) === 3 && countOf(two) === 3);
      one.becomeSlow();
      await until(() => countOf(one) === 2 && countOf(two) === 4);
      for (const name of names) await until(() => activeAt(all, name).length === 1);
    }));

  it("list what a process of another version tells, as far as it is understood", () =>
    withProcesses(1, async ([one], { db }) => {
      await one!.roll.call([]);
      const report = { busy: "very", memoryBytes: 7, chains: [{ chain: "alpha", state: "dreaming" }, { more: {} }] };
      await db.query("UPDATE instances SET report = $1", [JSON.stringify(report)]);
      const [row] = await one!.roll.list();
      assert.equal(row?.report.busy, 0);
      assert.equal(row?.report.memoryBytes, 7);
      assert.deepEqual(row?.report.chains, [{ chain: "alpha", state: "dreaming" }, {}]);
      for (const odd of ["null", "3", "[]", '{"unfit": 1, "configuration": {"shared": 1}}']) {
        await db.query("UPDATE instances SET report = $1", [odd]);
        assert.equal((await one!.roll.list()).length, 1);
        assert.equal((await db.query("SELECT report->'unfit' FROM instances")).length, 1);
      }
    }));

  it("stay with who has them while the database is away for longer than they last", () =>
    withProcesses(1, async ([one], { db }) => {
      const work = one!.contend("job/a");
      await one!.keeper.start();
      await until(() => work.active);
      one!.pause();
      await systemClock.sleep(2 * ms);
      one!.goOn();
      await work.lease.db.tx((tx) => tx.query("SELECT 1"));
      assert.ok(work.active);
      assert.equal((await listTerms(db, "job/a", 10)).length, 1);
    }));

  it("begin nothing anew before what went on in the term before has ended", () =>
    withProcesses(2, async ([one, two]) => {
      const lease = one!.keeper.of("job/a");
      const ending = Promise.withResolvers<void>();
      let starts = 0;
      lease.contend({
        start: () => {
          starts++;
        },
        stop: () => ending.promise,
      });
      await one!.keeper.start();
      await until(() => starts === 1);
      one!.pause();
      two!.contend("job/a");
      await two!.keeper.start();
      await until(() => two!.works.get("job/a")!.active);
      one!.goOn();
      await until(() => !lease.isHeld());
      await two!.works.get("job/a")!.lease.leave();
      await systemClock.sleep(2 * ms);
      const meanwhile = [starts, lease.isHeld()];
      ending.resolve();
      assert.deepEqual(meanwhile, [1, false]);
      await until(() => starts === 2);
    }));

  it("are not taken while their holder has a transaction open, which may still commit", () =>
    withProcesses(2, async ([one, two], { db }) => {
      // In the embedded database all share one session, so nobody can do anything meanwhile anyway.
      if (backend.name === "pglite") return;
      await db.query("CREATE TABLE written (by text)");
      const mine = one!.contend("job/a");
      await one!.keeper.start();
      await until(() => mine.active);
      two!.contend("job/a");
      await two!.keeper.start();
      const inside = Promise.withResolvers<void>();
      const commit = Promise.withResolvers<void>();
      const writing = mine.lease.db.tx(async (tx) => {
        await tx.query("INSERT INTO written VALUES ('one')");
        inside.resolve();
        await commit.promise;
      });
      await inside.promise;
      one!.deafen();
      await systemClock.sleep(3 * ms);
      const isTaken = two!.works.get("job/a")!.active;
      commit.resolve();
      assert.ok(!isTaken);
      await writing;
      await until(() => two!.works.get("job/a")!.active);
      assert.deepEqual(await db.query("SELECT * FROM written"), [{ by: "one" }]);
    }));

  it("are renewed while the work of one that is given up takes its time to end", () =>
    withProcesses(2, async ([one, two], { db }) => {
      const ending = Promise.withResolvers<void>();
      const names = ["job/0", "job/1", "job/2", "job/3"];
      let starts = 0;
      for (const name of names) {
        one!.keeper.of(name).contend({
          start: () => {
            starts++;
          },
          stop: () => ending.promise,
        });
      }
      await one!.keeper.start();
      await until(() => starts === names.length);
      for (const name of names) two!.contend(name);
      await two!.keeper.start();
      await systemClock.sleep(4 * ms);
      const terms = await Promise.all(names.map(async (name) => (await listTerms(db, name, 5)).length));
      const held = countOf(two!);
      ending.resolve();
      assert.deepEqual([terms, held], [[1, 1, 1, 1], 0]);
      await until(() => countOf(two!) === 2);
    }));

  it("end with a database in the place of which another was put", () =>
    withProcesses(2, async ([first, second], { db }) => {
      assert.ok(first && second);
      first.contend("job/a");
      await first.keeper.start();
      await until(() => first.works.get("job/a")?.active);
      await second.roll.call([]);
      await db.query("DELETE FROM instances");
      await db.query("UPDATE leases SET holder = NULL, until = clock_timestamp(), term = term + 1000000");
      for (let time = 0; time < 2; time++) {
        const replaced = (error: unknown) => isLockstepError(error, "database-replaced");
        await assert.rejects(second.roll.call([]), replaced);
      }
      await until(() => !first.works.get("job/a")?.active, "the work has ended");
      await systemClock.sleep(3 * ms);
      assert.deepEqual([first.works.get("job/a")?.active, countOf(first)], [false, 0], "it is not taken anew");
    }));
});
