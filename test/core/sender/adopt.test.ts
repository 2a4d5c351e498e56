import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { createChain } from "#core/chain/createChain.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { createAdoption } from "#core/sender/adopt.ts";
import { intentEvents } from "#core/sender/sender.ts";
import { onDatabase, quietLog } from "../../support/databases.ts";
import { type LocalChain, startLocalChain } from "../../support/localChain.ts";
import { deployRinger, type Ringer, rungTotal } from "../../support/tinyContracts.ts";
import { type Bench, openBench, ringing } from "./support.ts";

const chainId = 991_047;

await onDatabase("what accounts did that a restored store does not know", (backend) => {
  let local: LocalChain;
  before(async () => {
    local = await startLocalChain(chainId);
  });
  after(() => local.close());

  /** The store that is lost, and the one that was restored from a backup of before. */
  async function inScene(
    work: (scene: { ringer: Ringer; lost: Bench; restored: Bench; from: bigint }) => Promise<void>,
  ) {
    const ringer = await deployRinger(local);
    const from = (await local.height()) + 1n;
    const lost = await openBench(backend, local);
    const restored = await openBench(backend, local);
    try {
      await work({ ringer, lost, restored, from });
    } finally {
      await Promise.all([lost.close(), restored.close()]);
    }
  }

  async function adopt({ database: { db }, keyStore }: Bench, from: bigint) {
    const chain = createChain(
      { name: "alpha", chainId, endpoints: [local.url], finality: { blocks: 0 } },
      { log: quietLog, clock: systemClock },
    );
    const store = createEventStore({ db, schemas: intentEvents, log: quietLog });
    const heights = Array.from(
      { length: Number((await local.height()) - from) + 1 },
      (_, index) => from + BigInt(index),
    );
    const all = (await Promise.all(heights.map((height) => chain.transactions(height)))).flatMap(
      (found) => found ?? [],
    );
    const ours = all.filter((each) => each.from === keyStore.address("alice"));
    return createAdoption({ db, store, keyStore, builders: {} }).adopt(chain, ours, async () => undefined);
  }

  it("ends what was done after the backup with its receipts, and sends the rest once", () =>
    inScene(async ({ ringer, lost, restored, from }) => {
      const ring = (word: bigint, id = `ring-${word}`) => ringing(ringer.address, word, { id });
      await lost.submit(await lost.process(), [ring(1n), ring(2n)]);
      await lost.ended(["ring-1", "ring-2"]);
      let isHeld = true;
      const sender = await restored.process({ isHeld: async () => isHeld });
      const all = [ring(1n), ring(2n), ring(2n, "asked-for-twice"), ring(5n)];
      await restored.submit(sender, all);
      assert.deepEqual(await adopt(restored, from), { done: 2, moved: 0, strange: 0 });
      assert.equal(await rungTotal(local, ringer.address), 3n, "nothing is sent while it is held");
      assert.deepEqual(await adopt(restored, from), { done: 0, moved: 0, strange: 0 });
      isHeld = false;
      const ends = await restored.ended(all.map(({ id }) => id));
      assert.ok(ends.every((end) => end.type === "IntentFinalized" && end.data.status === "success"));
      assert.equal(await rungTotal(local, ringer.address), 10n);
    }));

  /** What was signed under a nonce before the backup, and is sent by nobody until it is released. */
  async function signedAt(bench: Bench, intent: ReturnType<typeof ringing>, nonce: number | undefined) {
    let isHeld = true;
    const sender = await bench.process({ isHeld: async () => isHeld });
    await bench.submit(sender, [intent]);
    await bench.database.db.query("UPDATE sender_intent SET state = 'signed', nonce = $1", [nonce]);
    return () => {
      isHeld = false;
    };
  }

  /** What was signed before the backup under a nonce that another call has used since. */
  async function overtaken({ ringer, lost, restored }: { ringer: Ringer; lost: Bench; restored: Bench }) {
    const ring = (word: bigint) => ringing(ringer.address, word);
    await lost.submit(await lost.process(), [ring(8n)]);
    await lost.ended(["ring-8"]);
    const [nonce] = await lost.nonces();
    return signedAt(restored, ring(7n), nonce);
  }

  it("gives an intent another nonce where something else has used up its own", () =>
    inScene(async (scene) => {
      const { ringer, restored, from } = scene;
      const release = await overtaken(scene);
      assert.deepEqual(await adopt(restored, from), { done: 0, moved: 1, strange: 0 });
      release();
      await restored.ended(["ring-7"]);
      assert.equal(await rungTotal(local, ringer.address), 15n);
    }));

  it("finds what was done under another nonce after its own was used up", () =>
    inScene(async ({ ringer, lost, restored, from }) => {
      const ring = (word: bigint) => ringing(ringer.address, word);
      const sends = await lost.process();
      await lost.submit(sends, [ring(9n)]);
      await lost.ended(["ring-9"]);
      const [nonce] = await lost.nonces();
      await lost.submit(sends, [ring(7n)]);
      await lost.ended(["ring-7"]);
      const release = await signedAt(restored, ring(7n), nonce);
      assert.deepEqual(await adopt(restored, from), { done: 1, moved: 0, strange: 1 });
      release();
      await restored.ended(["ring-7"]);
      assert.equal(await rungTotal(local, ringer.address), 16n);
    }));

  it("sends nothing that was given up before the backup, whatever has used its nonce up", () =>
    inScene(async (scene) => {
      const { ringer, restored, from } = scene;
      const release = await overtaken(scene);
      await restored.database.db.query("UPDATE sender_intent SET reason = 'refused', detail = 'nobody wants it'");
      assert.deepEqual(await adopt(restored, from), { done: 0, moved: 1, strange: 0 });
      release();
      const [end] = await restored.ended(["ring-7"]);
      assert.equal(end?.type, "IntentAbandoned");
      assert.equal(await rungTotal(local, ringer.address), 8n);
    }));
});
