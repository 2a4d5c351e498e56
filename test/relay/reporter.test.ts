import assert from "node:assert/strict";
import { it } from "node:test";
import { migrate } from "#core/db/migrate.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { fixed } from "#core/kernel/live.ts";
import type { IntentStatus, Sender } from "#core/sender/sender.ts";
import { relayMigrations } from "#relay";
import { keepEvidence, reportedValidators } from "#relay/evidence.ts";
import { createLanes } from "#relay/lane.ts";
import { createReporter } from "#relay/reporter.ts";
import type { ValidatorEpoch } from "#relay/validators.ts";
import { type DatabaseBackend, onDatabase, quietLog } from "../support/databases.ts";
import { sites } from "./gatewayLogs.ts";
import { addressOf, book, epoch, hashOf } from "./samples.ts";

const liar = addressOf(10);
const signature: Hex = `0x${"11".repeat(64)}1b`;
const abandoned: IntentStatus = { state: "abandoned", reason: "reverts", detail: "not now" };
const word = (seed: number) => ({ epoch: 1n, accumulator: hashOf(seed), signature });

/** Evidence against one validator, which is found in the epochs that the scene has. */
async function open(backend: DatabaseBackend) {
  const { db, close } = await backend.open();
  await migrate(db, [...eventMigrations, ...relayMigrations]);
  const place = { origin: "alpha", destination: "beta", validator: liar, nonce: 3n };
  for (const generation of [0, 1]) await keepEvidence(db, { ...place, generation, first: word(1), second: word(2) });
  const scene = { now: 1_000_000, epochs: [epoch] as ValidatorEpoch[], intents: new Map<string, IntentStatus>() };
  const sender: Sender = {
    submit: async (_tx, requests) => requests.forEach(({ id }) => void scene.intents.set(id, { state: "queued" })),
    find: async (_from, id) => scene.intents.get(id),
    findByTransactions: async () => new Map(),
  };
  const open = () =>
    createReporter({
      ...{ db, sender, lanes: createLanes({ chains: fixed(sites) }), log: quietLog, account: "relayer" },
      clock: { now: () => scene.now, sleep: async () => undefined },
      book: { ...book, read: async () => ({ valid: () => scene.epochs, newest: () => epoch }) },
    });
  return { scene, db, open, close };
}

const first = `lane-alpha→beta-report-1-${liar}-1`;

await onDatabase("a validator that signed two histories", (backend) => {
  const each = (name: string, work: (o: Awaited<ReturnType<typeof open>>) => Promise<void>) =>
    it(name, async () => {
      const o = await open(backend);
      try {
        await work(o);
      } finally {
        await o.close();
      }
    });

  each("is reported once in an epoch, with one piece of evidence, while that goes well", async (o) => {
    const reporter = o.open();
    for (const state of ["queued", "sent"] as const) {
      await reporter.look();
      o.scene.intents.set(first, { state });
    }
    o.scene.intents.set(first, {
      state: "finalized",
      status: "success",
      hash: hashOf(1),
      blockNumber: 1n,
      gasUsed: 1n,
    });
    o.scene.now += 1e9;
    await reporter.look();
    assert.deepEqual([...o.scene.intents.keys()], [first]);
    assert.equal((await reportedValidators(o.db)).length, 2);
    // It comes back with a later epoch.
    o.scene.epochs = [{ ...epoch, epoch: 2n }];
    await reporter.look();
    assert.deepEqual([...o.scene.intents.keys()].slice(1), [first.replace(/1$/, "2")]);
  });

  each("is reported again when a report had no effect, ever more seldom, while it counts", async (o) => {
    const reporter = o.open();
    await reporter.look();
    o.scene.intents.set(first, abandoned);
    await reporter.look();
    await reporter.look();
    assert.equal(o.scene.intents.size, 1);
    o.scene.now += 1_000;
    await reporter.look();
    assert.deepEqual([...o.scene.intents.keys()], [first, `${first}-2`]);
    o.scene.intents.set(`${first}-2`, { state: "included", status: "reverted", hash: hashOf(1), blockNumber: 1n });
    // Another process goes on where this one was.
    const other = o.open();
    await other.look();
    o.scene.now += 4_000;
    await other.look();
    assert.equal(o.scene.intents.size, 2);
    o.scene.now += 1_000;
    await other.look();
    assert.equal(o.scene.intents.size, 3);
    o.scene.intents.set(`${first}-3`, abandoned);
    o.scene.epochs = [{ ...epoch, byAddress: () => undefined }];
    o.scene.now += 1e9;
    await other.look();
    assert.equal(o.scene.intents.size, 3);
  });

  each("is given up after as many attempts as a delivery", async (o) => {
    const reporter = o.open();
    for (let n = 0; n < 200; n++) {
      await reporter.look();
      for (const id of o.scene.intents.keys()) o.scene.intents.set(id, abandoned);
      o.scene.now += 12 * 3_600_000;
    }
    assert.equal(o.scene.intents.size, 41);
  });

  each("is reported once an epoch counts it, though none did when it was caught", async (o) => {
    o.scene.epochs = [];
    const reporter = o.open();
    await reporter.look();
    assert.deepEqual([o.scene.intents.size, (await reportedValidators(o.db)).length], [0, 0]);
    o.scene.epochs = [epoch];
    await reporter.look();
    assert.equal(o.scene.intents.size, 1);
  });
});
