import assert from "node:assert/strict";
import { it } from "node:test";
import type { ArchiveStorage } from "#core/archive/storage.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { messageStream } from "#relay/events.ts";
import { events as m } from "#test/relay/samples.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";
import { completed, idOf, inFolder, onchainIdOf, openWorld, type World } from "./world.ts";

const marks = ["archive.begun", "archive.written", "archive.checked", "archive.left"];

async function seed(world: World) {
  for (const nonce of [1, 2, 3]) await world.send(nonce);
  await world.deliver(1, 3);
  await world.settle(1, 3);
  await world.swap("1", "d", completed, true);
  await world.read();
  world.pass(121);
}

/** Whatever happened: each thing is told of, in exactly one place. */
async function assertWhole(world: World): Promise<void> {
  for (const nonce of [1, 2, 3]) {
    assert.equal((await world.message(onchainIdOf(nonce), world.openStore()))?.status, "delivered");
    const [row] = await world.db.query<{ here: bigint; there: bigint }>(
      `SELECT (SELECT count(*) FROM relay_messages WHERE id = $1) AS here,
              (SELECT count(*) FROM event_archive WHERE stream = $2) AS there`,
      [idOf(nonce), messageStream(idOf(nonce))],
    );
    assert.equal((row?.here ?? 0n) + (row?.there ?? 0n), 1n);
  }
  assert.equal((await world.shownSwap("1", world.openStore()))?.status, "completed");
}

await onDatabase("the archive when something fails", (backend) => {
  const withWorld = (work: (world: World, folder: string) => Promise<void>) =>
    withDatabase(backend, (database) =>
      inFolder(async (folder) => {
        const world = await openWorld(database, folder);
        await seed(world);
        await work(world, folder);
      }),
    );

  for (const point of marks)
    for (const time of [1, 2])
      it(`goes on after it ended at ${point}, at file ${time}`, () =>
        withWorld(async (world) => {
          let passed = 0;
          const killed = world.archiver((mark) => {
            if (mark === point && ++passed === time) throw new Error("killed");
          });
          await assert.rejects(killed.run(), /killed/);
          await assertWhole(world);
          await world.archiver().run();
          await assertWhole(world);
          assert.equal(await world.count("event_archive"), 3);
          assert.equal(await world.count("archive_files WHERE state = 'writing'"), 0);
          const files = await world.files();
          assert.equal(files.length, 2 * (await world.count("archive_files")), `no file is left over: ${files}`);
        }));

  it("deletes nothing that it cannot read back as it was", () =>
    withWorld(async (world) => {
      const lying = (change: (bytes: Buffer) => Buffer): ArchiveStorage => ({
        ...world.storage,
        read: async (name) => change(await world.storage.read(name)),
      });
      const changes = [
        (bytes: Buffer) => bytes.subarray(0, -1),
        (bytes: Buffer) => Buffer.concat([bytes, Buffer.from("x")]),
        (bytes: Buffer) => bytes.map((byte, at) => (at === 20 ? byte ^ 1 : byte)) as Buffer,
        () => Buffer.alloc(0),
      ];
      for (const change of changes) {
        const run = world.archiver(undefined, lying(change)).run();
        await assert.rejects(run, (error) => isLockstepError(error, "archive-damaged"));
        assert.equal(await world.count("event_archive"), 0);
      }
      await assertWhole(world);
    }));

  it("goes on by itself when the store is away for a while, and nothing has left meanwhile", () =>
    withWorld(async (world) => {
      const away: ArchiveStorage = {
        ...world.storage,
        put: () => Promise.reject(new LockstepError("archive-unreachable", "away")),
        remove: () => Promise.reject(new LockstepError("archive-unreachable", "away")),
      };
      for (let n = 0; n < 3; n++) {
        const run = world.archiver(undefined, away).run();
        await assert.rejects(run, (error) => isLockstepError(error, "archive-unreachable"));
      }
      await assertWhole(world);
      await world.archiver().run();
      await assertWhole(world);
    }));

  it("leaves alone what changes while its file is written, and who appends late is refused", () =>
    withWorld(async (world) => {
      const id = idOf(1);
      let late: Promise<unknown> | undefined;
      const archiver = world.archiver((mark) => {
        // A reorganisation of what counted as final, right before the rows are deleted.
        if (mark === "archive.checked") late ??= world.append(messageStream(id), 1, [m.undone()]);
      });
      const settled = await archiver.run().then(
        () => "ran",
        (error) => (isLockstepError(error, "conflict") ? "met" : Promise.reject(error)),
      );
      const appended = await late?.then(
        () => true,
        (error) => (isLockstepError(error, "conflict") ? false : Promise.reject(error)),
      );
      await until(() => settled);
      const stays = (await world.count(`relay_messages WHERE id = '${id}'`)) === 1;
      assert.equal(stays, appended, "it is here with the event, or has left without");
      const events = await world.count(`events WHERE stream = '${messageStream(id)}'`);
      assert.equal(events, appended ? 2 : 0);
      if (!appended) await assertWhole(world);
    }));
  it("lets one of two runs at once have each thing, and keeps every file that something is in", () =>
    withWorld(async (world) => {
      const met = (error: unknown) => {
        if (isLockstepError(error, "conflict") || isLockstepError(error, "archive-damaged")) return undefined;
        throw error;
      };
      for (let n = 0; n < 4; n++) {
        await Promise.all([world.archiver().run().catch(met), world.archiver().run().catch(met)]);
        await assertWhole(world);
      }
      await world.archiver().run();
      await assertWhole(world);
      assert.equal(await world.count("event_archive"), 3);
    }));

  it("does not finish a file that another run has taken for left over", () =>
    withWorld(async (world) => {
      let second: Promise<unknown> | undefined;
      const first = world.archiver((mark) => {
        if (mark === "archive.checked") second ??= world.archiver().run();
      });
      await first.run().catch((error) => assert.ok(isLockstepError(error, "conflict"), String(error)));
      await second?.catch((error) => assert.ok(isLockstepError(error), String(error)));
      await assertWhole(world);
      await world.archiver().run();
      await assertWhole(world);
    }));
});
