import assert from "node:assert/strict";
import { mkdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { it } from "node:test";
import { gunzipSync } from "node:zlib";
import { archivedHistories } from "#app/archive.ts";
import { serviceEvents } from "#app/stored.ts";
import { archivedStreams } from "#core/archive/tables.ts";
import { replay } from "#core/events/replay.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { insertIntents } from "#core/sender/rows.ts";
import { messageStream } from "#relay/events.ts";
import { swapStream } from "#swap/events.ts";
import { knownHashlocks } from "#swap/readModel.ts";
import { events as m } from "#test/relay/samples.ts";
import { forEachDatabase, withDatabase } from "#test/support/databases.ts";
import * as s from "#test/swap/samples.ts";
import { completed, halfway, idOf, inFolder, intent, onchainIdOf, openWorld, type World } from "./world.ts";

/** Four messages delivered, a fifth that failed; a swap that was completed and one that is open, with an intent each. */
async function seed(world: World) {
  await world.send(1);
  await world.send(2);
  await world.send(3);
  await world.deliver(1, 3);
  await world.settle(1, 3);
  await world.send(4);
  await world.deliver(4, 4);
  await world.settle(4, 4);
  await world.append(messageStream(idOf(5)), 0, [m.sent(5n), m.finalized(), m.failed(), m.outcomeFinal("failed")]);
  const ended = await world.swap("1", "d", completed, true);
  const open = await world.swap("2", "e", halfway, false);
  await intent(world, "swap-1-claim-source-1", swapStream("1"), 1);
  await intent(world, "swap-2-lock-source-1", swapStream("2"), 2);
  await intent(world, "i-1-3", "lane-alpha→beta", 3);
  await world.read();
  return { ended, open };
}

await forEachDatabase("the archive", (backend) => {
  const withWorld = (work: (world: World, folder: string) => Promise<void>) =>
    withDatabase(backend, (database) => inFolder(async (folder) => work(await openWorld(database, folder), folder)));

  it("takes nothing to a place that is not the archive, and does not call what is there unknown", () =>
    withWorld(async (world, folder) => {
      await seed(world);
      world.pass(121);
      assert.ok((await world.archiver().run()).files > 0);
      await world.send(6);
      await world.deliver(6, 6);
      await world.settle(6, 6);
      await world.read();
      world.pass(121);
      const count = async () => (await world.db.query("SELECT 1 FROM events")).length;
      const before = await count();
      await rename(folder, `${folder}-away`);
      try {
        const unreachable = (error: unknown) => isLockstepError(error, "archive-unreachable");
        await assert.rejects(world.archiver().run(), unreachable);
        await mkdir(folder);
        await assert.rejects(world.archiver().run(), unreachable, "an empty folder, as of a disk that is not mounted");
        assert.equal(await count(), before);
        const bare = archivedHistories(world.db, undefined);
        await assert.rejects(bare([messageStream(idOf(1))]), unreachable);
        assert.equal((await bare([messageStream(idOf(6))])).size, 0);
        const deps = { db: world.db, schemas: serviceEvents, projections: [] };
        const gone = (error: unknown) => isLockstepError(error, "event-position-gone");
        await assert.rejects(
          replay(deps, { position: 2n }, async () => undefined),
          gone,
        );
        await assert.rejects(
          replay(deps, { at: new Date(0) }, async () => undefined),
          gone,
        );
        await replay(deps, {}, async ({ events }) => assert.equal(events, before));
      } finally {
        await rm(folder, { recursive: true, force: true });
        await rename(`${folder}-away`, folder);
      }
      assert.ok((await world.archiver().run()).files > 0);
    }));

  it("takes what has ended and is old enough, and answers for it as before, by all its ids", () =>
    withWorld(async (world, folder) => {
      const { ended, open } = await seed(world);
      const references = [1, 2, 3].flatMap((nonce) => [idOf(nonce), onchainIdOf(nonce)]);
      const names = ["1", ended.hashlock, ended.source.lockId, ended.target.lockId];
      const shown = async () => ({
        messages: await Promise.all(references.map((reference) => world.message(reference))),
        swaps: await Promise.all(names.map((reference) => world.shownSwap(reference))),
      });
      const before = await shown();
      assert.ok(before.messages.every((each) => each?.status === "delivered"));
      world.pass(119);
      assert.deepEqual(await world.archiver().run(), { items: {}, files: 0, bytes: 0 }, "nothing is old enough");
      world.pass(2);
      const report = await world.archiver().run();
      assert.deepEqual(report.items, { message: 3, swap: 1, intent: 1 });
      assert.deepEqual(await shown(), before);
      // What is open stays, and so do the newest message of a lane, the intent with the highest nonce and all heads.
      const rows = await world.db.query<{ id: string }>("SELECT id FROM relay_messages ORDER BY id");
      assert.deepEqual(
        rows.map(({ id }) => id),
        [idOf(4), idOf(5)],
      );
      assert.deepEqual(await world.db.query("SELECT id FROM swaps"), [{ id: "2" }]);
      const intents = await world.db.query("SELECT id FROM sender_intent ORDER BY id");
      assert.deepEqual(intents, [{ id: "i-1-3" }, { id: "swap-2-lock-source-1" }]);
      assert.equal((await world.shownSwap(open.hashlock))?.status, "refunding");
      assert.deepEqual(await knownHashlocks(world.db, [ended.hashlock]), new Set([ended.hashlock]));
      assert.equal((await world.message(idOf(4)))?.timeline.length, 6, "its run is still there");
      const left = await world.db.query<{ stream: string }>("SELECT DISTINCT stream FROM events ORDER BY stream");
      assert.deepEqual(
        left
          .map(({ stream }) => stream)
          .filter((stream) => !stream.startsWith("lane-"))
          .sort(),
        [
          "intent-i-1-3",
          "intent-swap-2-lock-source-1",
          messageStream(idOf(4)),
          messageStream(idOf(5)),
          swapStream("2"),
        ].sort(),
      );
      assert.equal(await world.count("relay_runs"), 4, "what was about messages that have left has left");
      const first = await archivedStreams(world.db, "message", undefined, 2);
      const next = await archivedStreams(world.db, "message", first.at(-1)?.place, 2);
      assert.deepEqual(
        [...first, ...next].map(({ stream }) => stream),
        [3, 2, 1].map((nonce) => messageStream(idOf(nonce))),
        "and lists have them page by page",
      );
      const again = await world.archiver().run();
      assert.deepEqual(again, { items: {}, files: 0, bytes: 0 });
      assert.deepEqual(await shown(), before);
      // Any tool can read the files.
      const files = await world.files();
      const text = gunzipSync(
        await readFile(join(folder, files.find((name) => /^message.*gz$/.test(name)) ?? "")),
      ).toString();
      assert.deepEqual(
        text
          .trimEnd()
          .split("\n")
          .map((line) => JSON.parse(line).stream),
        [1, 2, 3].map((n) => messageStream(idOf(n))),
      );
      assert.equal(files.length, 6, "a manifest each");
    }));

  it("loses nothing and brings nothing back when read models are built anew", () =>
    withWorld(async (world) => {
      await seed(world);
      world.pass(121);
      await world.archiver().run();
      const state = async () => ({
        messages: await world.db.query("SELECT * FROM relay_messages ORDER BY id"),
        failures: await world.db.query("SELECT * FROM relay_failures ORDER BY id"),
        swaps: await world.db.query("SELECT id, version, hashlock FROM swaps"),
        runs: await world.db.query("SELECT * FROM relay_runs ORDER BY position"),
      });
      const before = await state();
      for (const name of ["messages", "failures", "swaps"]) await world.store.rebuild(name);
      assert.deepEqual(await state(), before);
      assert.equal((await world.message(onchainIdOf(2)))?.id, idOf(2));
    }));

  it("lets no stream begin again that has left, and goes on with those that live on", () =>
    withWorld(async (world) => {
      await seed(world);
      world.pass(121);
      await world.archiver().run();
      const conflict = (error: unknown) => isLockstepError(error, "conflict");
      await assert.rejects(world.append(messageStream(idOf(1)), 0, [m.sent(1n)]), conflict);
      await assert.rejects(world.append(messageStream(idOf(1)), "any", [m.sent(1n)]), conflict);
      await assert.rejects(world.append(swapStream("1"), 0, [s.requested]), conflict);
      const [last] = await world.db.query<{ version: number }>(
        "SELECT max(version) AS version FROM events WHERE stream LIKE 'lane-%'",
      );
      const [next] = await world.append("lane-alpha→beta-delivery", "any", [
        {
          type: "MessagesFinalized",
          data: { origin: "alpha", destination: "beta", firstNonce: 9n, lastNonce: 9n, finalHeight: 1n },
        },
      ]);
      assert.equal(next?.version, (last?.version ?? 0) + 1);
    }));

  it("says from where on all events are there, and that those before are gone", () =>
    withWorld(async (world) => {
      await seed(world);
      world.pass(121);
      const before = await world.store.bounds();
      await world.archiver().run();
      const { first, last } = await world.store.bounds();
      assert.equal(last, before.last);
      assert.ok(first > before.first);
      const all = await world.store.readAll(first - 1n, 1_000);
      assert.equal(BigInt(all.length), last - first + 1n);
    }));

  it("waits for readers that have not come so far", () =>
    withWorld(async (world) => {
      await seed(world);
      world.pass(121);
      await world.db.query("UPDATE event_subscriptions SET position = 2");
      assert.deepEqual((await world.archiver().run()).items, {});
      assert.equal(await world.count("event_archive"), 0);
    }));

  it("tells a file that is damaged, cut or gone from one that says nothing, and reads it again once it is mended", () =>
    withWorld(async (world, folder) => {
      await seed(world);
      world.pass(121);
      await world.archiver().run();
      const name = join(folder, (await world.files()).find((file) => /^swap\/.*gz$/.test(file)) ?? "");
      const whole = await readFile(name);
      const damaged = (error: unknown) => isLockstepError(error, "archive-damaged");
      const turned = Buffer.from(whole);
      turned[40] = (turned[40] ?? 0) ^ 1;
      for (const bytes of [turned, whole.subarray(0, 60), Buffer.alloc(0), Buffer.alloc(whole.length)]) {
        await writeFile(name, bytes);
        await assert.rejects(world.shownSwap("1", world.openStore()), damaged);
      }
      await writeFile(name, whole);
      assert.equal((await world.shownSwap("1"))?.status, "completed");
    }));

  it("leaves intents that are numbered by earlier ones where they are, and lets no id come a second time", () =>
    withWorld(async (world) => {
      const lane = "lane-alpha→beta";
      const counted = ["relay.report", "relay.defer", "relay.attest-header", "relay.pause"];
      for (const [at, kind] of counted.entries()) await intent(world, `${lane}-${kind}`, lane, at, kind);
      await intent(world, "delivered", lane, 10, "relay.deliver");
      await intent(world, "last", lane, 11, "relay.deliver");
      await world.read();
      world.pass(121);
      assert.deepEqual((await world.archiver().run()).items, { intent: 1 });
      const ids = async () =>
        (await world.db.query<{ id: string }>("SELECT id FROM sender_intent ORDER BY nonce")).map(({ id }) => id);
      const stay = [...counted.map((kind) => `${lane}-${kind}`), "last"];
      assert.deepEqual(await ids(), stay);
      const again = (id: string) => ({
        ...{ id, chain: "alpha", account: "bob", kind: "relay.deliver", subject: lane, gas: 1n, dryRun: false },
        call: { to: "0x0000000000000000000000000000000000000001", data: "0x", value: 0n } as const,
      });
      await insertIntents(world.db, [again("delivered"), again("fresh")], { channel: "test", at: 0 });
      assert.deepEqual(await ids(), [...stay, "fresh"], "what was archived is not made again");
    }));
});
