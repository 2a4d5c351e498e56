import assert from "node:assert/strict";
import { it } from "node:test";
import { decodeFunctionData, encodeFunctionResult, slice } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { fixed } from "#core/kernel/live.ts";
import type { IntentRequest, IntentStatus, Sender } from "#core/sender/sender.ts";
import { relayMigrations, relayProjections } from "#relay";
import { createCheckpointAuthority } from "#relay/checkpointAuthority.ts";
import type { Collector } from "#relay/collect.ts";
import { createRecentContents } from "#relay/contents.ts";
import { createLaneDriver } from "#relay/driver.ts";
import { createLanes } from "#relay/lane.ts";
import { relayEvents } from "#relay/laneEvents.ts";
import { troubles } from "#relay/laneState.ts";
import { createRelayObserver } from "#relay/observer.ts";
import { statusOf } from "#relay/progress.ts";
import { validatorSetHash } from "#relay/protocol/quorum.ts";
import { listRows } from "#relay/readModel.ts";
import { type DatabaseBackend, forEachDatabase, quietLog } from "../support/databases.ts";
import { block, laneOf, sendingBlock, sites } from "./gatewayLogs.ts";
import { book, epoch, hashOf } from "./samples.ts";

const payloads = (count: number): Hex[] => Array.from({ length: count }, () => "0x01");

/** A lane with so many final messages, and everything around its driver as a test wants it. */
async function open(backend: DatabaseBackend, count: number, maxBatch = 2) {
  const database = await backend.open();
  const { db } = database;
  await migrate(db, [...eventMigrations, ...relayMigrations]);
  let now = 1_000_000;
  const clock: Clock = { now: () => now, sleep: async () => undefined };
  const store = createEventStore({
    ...{ db, log: quietLog, clock, schemas: relayEvents, projections: relayProjections },
  });
  const scene = {
    head: 0n,
    setHash: validatorSetHash(1, 1n, epoch.set),
    /** The highest nonce that validators sign. */
    signed: 1_000n,
    intents: new Map<string, IntentStatus>(),
    submitted: [] as IntentRequest[],
  };
  const chain = {
    ...sites.beta.chain,
    call: async ({ data }: { data?: Hex }): Promise<Hex> => {
      const { functionName } = decodeFunctionData({ abi: gatewayAbi, data: data ?? "0x" });
      if (functionName === "inboundHead") {
        const result = { accumulator: hashOf(0), nonce: scene.head, generation: 0 };
        return encodeFunctionResult({ abi: gatewayAbi, functionName, result });
      }
      return encodeFunctionResult({
        abi: gatewayAbi,
        functionName: "epochInfo",
        result: [slice(scene.setHash, 0, 26), 2n ** 40n - 1n, 0n],
      });
    },
  };
  const sender: Sender = {
    submit: async (_tx, intents) => {
      for (const intent of intents) scene.intents.set(intent.id, { state: "queued" });
      scene.submitted.push(...intents);
    },
    find: async (_from, id) => scene.intents.get(id),
    findByTransactions: async () => new Map(),
  };
  const collect: Collector = async ({ to, places }) => {
    const first = places.keys().next().value ?? 0n;
    const nonce = to < scene.signed ? to : scene.signed;
    return nonce < first ? { fresh: [] } : { quorum: { nonce, signatures: [], epoch }, fresh: [] };
  };
  const lanes = createLanes({ chains: fixed({ ...sites, beta: { ...sites.beta, chain } }) });
  const lane = lanes.get({ origin: "alpha", destination: "beta" });
  const contents = createRecentContents();
  const driver = createLaneDriver({
    ...{ db, store, sender, lanes, book, clock, log: quietLog, account: "relayer", maxBatch, contents },
    authorities: {
      checkpoint: createCheckpointAuthority({ db, attestations: { recent: () => [] }, collect, clock }),
      proof: () => assert.fail("no lane here is delivered by proof"),
    },
  });
  const observer = createRelayObserver({
    contents,
    store,
    sender,
    chains: fixed(sites),
    lanes,
    managed: new Set(),
    wake: () => undefined,
  });
  await db.tx((tx) => observer.included(tx, "alpha", [sendingBlock(block(5n), laneOf(payloads(count)))]));
  await db.tx((tx) => observer.finalized(tx, "alpha", 5n));
  return {
    ...{ scene, driver, lane, close: database.close },
    /** Looks until nothing more is to be done. */
    async drive() {
      while (await driver.step(lane));
    },
    pass: (ms: number) => {
      now += ms;
    },
    ids: () => scene.submitted.map(({ id }) => id.replace("lane-alpha→beta-", "")),
    statuses: async () => (await listRows(db, { limit: 100 })).map(({ progress }) => statusOf(progress)).toReversed(),
    trouble: async () => (await troubles(db)).get("alpha→beta"),
  };
}

await forEachDatabase("the driver of a lane", (backend) => {
  const each = (name: string, count: number, work: (o: Awaited<ReturnType<typeof open>>) => Promise<void>) =>
    it(name, async () => {
      const o = await open(backend, count);
      try {
        await work(o);
      } finally {
        await o.close();
      }
    });

  each("sends batches one after the other, a few at a time, each message once", 12, async (o) => {
    await o.drive();
    assert.deepEqual(o.ids(), ["0-1-2-1", "0-3-4-1", "0-5-6-1", "0-7-8-1"]);
    await o.drive();
    assert.equal(o.ids().length, 4);
    o.scene.head = 4n;
    await o.drive();
    assert.deepEqual(o.ids().slice(4), ["0-9-10-1", "0-11-12-1"]);
    assert.ok(
      o.scene.submitted.every(({ dryRun, kind, chain }) => !dryRun && kind === "relay.deliver" && chain === "beta"),
    );
    assert.deepEqual(new Set(await o.statuses()), new Set(["delivering"]));
  });

  each("starts behind what others have delivered, whether that is indexed or not", 5, async (o) => {
    o.scene.head = 3n;
    await o.drive();
    assert.deepEqual(o.ids(), ["0-4-5-1"]);
  });

  each("delivers as far as a quorum has signed, and notes what it waits for", 5, async (o) => {
    o.scene.signed = 1n;
    await o.drive();
    assert.deepEqual(o.ids(), ["0-1-1-1"]);
    const first = await o.trouble();
    assert.deepEqual([first?.code, first?.misses], ["awaiting-quorum", 1]);
    await o.drive();
    assert.deepEqual(await o.trouble(), first);
    o.pass(2_001);
    await o.drive();
    assert.equal((await o.trouble())?.misses, 2);
    assert.equal(o.driver.heard(o.lane), true);
    o.scene.signed = 1_000n;
    await o.drive();
    assert.deepEqual(o.ids().slice(1), ["0-2-3-1", "0-4-5-1"]);
    assert.equal(await o.trouble(), undefined);
    assert.equal(o.driver.heard(o.lane), false);
  });

  each("records a delivery that failed, waits for its ramp, and tries again with a dry-run first", 4, async (o) => {
    await o.drive();
    assert.deepEqual(o.ids(), ["0-1-2-1", "0-3-4-1"]);
    o.scene.intents.set("lane-alpha→beta-0-1-2-1", { state: "abandoned", reason: "expired", detail: "too late" });
    await o.drive();
    assert.deepEqual(await o.statuses(), ["attested", "attested", "delivering", "delivering"]);
    assert.equal((await o.trouble())?.code, "delivery-failed");
    assert.equal(o.ids().length, 2);
    o.pass(1_001);
    await o.drive();
    assert.deepEqual(o.ids().slice(2), ["0-1-2-2"]);
    assert.equal(o.scene.submitted.at(-1)?.dryRun, true);
    // The one behind it came too early and reverted: it follows without being final.
    const behind: IntentStatus = { state: "included", hash: hashOf(1), status: "reverted", blockNumber: 1n };
    o.scene.intents.set("lane-alpha→beta-0-3-4-1", behind);
    await o.drive();
    o.pass(1_001);
    await o.drive();
    assert.deepEqual(o.ids().slice(3), ["0-3-4-2"]);
  });

  each("sends nothing while the destination knows other validators, and says so", 2, async (o) => {
    const right = o.scene.setHash;
    o.scene.setHash = hashOf(9);
    await o.drive();
    assert.deepEqual([o.ids(), (await o.trouble())?.code], [[], "validator-set-mismatch"]);
    o.scene.setHash = right;
    await o.drive();
    assert.deepEqual(o.ids(), ["0-1-2-1"]);
  });
});
