import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { privateKeyToAccount } from "viem/accounts";
import { migrate } from "#core/db/migrate.ts";
import type { PostgresDb } from "#core/db/postgres.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { fixed } from "#core/kernel/live.ts";
import { relayEvents, relayMigrations, relayProjections } from "#relay";
import { keptAttestations, mostWords, pruneAttestations } from "#relay/attestationStore.ts";
import { type Attestations, createAttestations } from "#relay/attestations.ts";
import { createRecentContents } from "#relay/contents.ts";
import { createLanes } from "#relay/lane.ts";
import { createRelayObserver } from "#relay/observer.ts";
import { checkpointTypedData } from "#relay/protocol/checkpoint.ts";
import type { ValidatorEpoch } from "#relay/validators.ts";
import { onDatabase, quietLog } from "../support/databases.ts";
import { localKey } from "../support/localChain.ts";
import { block, laneOf, sendingBlock, sites } from "./gatewayLogs.ts";
import { hashOf } from "./samples.ts";

const noisy = privateKeyToAccount(localKey(11));
const quiet = privateKeyToAccount(localKey(12));
const samples = laneOf(Array.from({ length: 5 }, () => "0x01" as Hex));
const newest = samples[4]!;

/** Bounding happens once in so many words, so that many may be too much for a moment. */
const slack = 32;

await onDatabase("a validator that signs whatever it likes", (backend) => {
  let db: PostgresDb;
  let close: () => Promise<void>;
  let attestations: Attestations;
  let proven = 0;
  const lanes = createLanes({ chains: fixed(sites) });
  const lane = lanes.get({ origin: "alpha", destination: "beta" });
  before(async () => {
    const database = await backend.open();
    ({ db, close } = database);
    await migrate(db, [...eventMigrations, ...relayMigrations]);
    let now = 1_000;
    const clock = { now: () => now++, sleep: async () => undefined };
    const store = createEventStore({
      ...{ db, log: quietLog, clock, schemas: relayEvents, projections: relayProjections },
    });
    const sender = { findByTransactions: async () => new Map() };
    const observer = createRelayObserver({
      ...{ store, sender, lanes, contents: createRecentContents(), managed: new Set<Hex>() },
      ...{ chains: fixed(sites), wake: () => undefined },
    });
    await db.tx((tx) => observer.included(tx, "alpha", [sendingBlock(block(5n), samples)]));
    await db.tx((tx) => observer.finalized(tx, "alpha", 5n));
    const infos = [noisy, quiet].map(({ address }) => ({ name: address, address, weight: 1n, url: undefined }));
    const byAddress = (address: Hex) => infos.find((each) => each.address === address);
    const epoch = { epoch: 1n, all: infos, byAddress } as unknown as ValidatorEpoch;
    const validators = { valid: () => [epoch], newest: () => epoch };
    attestations = createAttestations({
      ...{ db, lanes, clock, heard: () => undefined },
      book: { read: async () => validators, changed: () => undefined, named: infos },
      misbehaviour: { note: async () => undefined, noteError: async () => undefined },
      proven: () => {
        proven += 1;
      },
    });
  });
  after(() => close?.());

  async function say(who: typeof noisy, nonce: bigint, accumulator: Hex, generation = 0): Promise<void> {
    const place = { originChainId: 1, originGateway: lane.from.gateway, generation, nonce, accumulator, epoch: 1n };
    const destination = { chainId: 2, gateway: lane.to.gateway };
    const signature = await who.signTypedData(checkpointTypedData(destination, place));
    const to = { destinationChainId: 2, destinationGateway: lane.to.gateway };
    await attestations.receive({ ...place, ...to, signer: who.address, signature }).catch(() => undefined);
  }
  const rows = async (table: string, who = noisy): Promise<number> =>
    (await db.query(`SELECT 1 FROM ${table} WHERE validator = $1`, [who.address])).length;
  const newestOf = async (who: typeof noisy) =>
    (await keptAttestations(db, lane, { generation: 0, epochs: [1n], nonce: newest.nonce })).some(
      ({ validator, accumulator }) => validator === who.address && accumulator === newest.accumulator,
    );

  it("has a bounded number of words kept about messages that nobody knows, and keeps its newest that is true", async () => {
    await say(noisy, newest.nonce, newest.accumulator);
    await say(quiet, newest.nonce, newest.accumulator);
    for (let n = 1n; n <= 150n; n++) await say(noisy, 1_000_000n + n, hashOf(Number(n)));
    assert.ok((await rows("relay_attestations")) <= mostWords + 1 + slack);
    assert.deepEqual([await newestOf(noisy), await newestOf(quiet)], [true, true]);
    assert.ok(attestations.recent(lane).some(({ validator }) => validator === quiet.address));
  });

  it("loses no true word to its own words about messages to come, however many deliveries pass", async () => {
    await pruneAttestations(db, lane, newest.nonce + 1n);
    assert.deepEqual([await newestOf(noisy), await newestOf(quiet)], [true, true]);
  });

  it("has a bounded number of words kept about generations that the lane never had", async () => {
    for (let n = 1; n <= 120; n++) await say(noisy, newest.nonce, newest.accumulator, n);
    assert.ok((await rows("relay_attestations")) <= 2 * (mostWords + slack));
    assert.equal(await newestOf(noisy), true);
  });

  it("has few contradictions and proofs against itself kept, and the one that counts among them", async () => {
    for (let n = 50; n >= 0; n--) {
      await say(noisy, newest.nonce, hashOf(n), n);
      if (n > 30) await say(noisy, newest.nonce, hashOf(n + 500), n);
    }
    for (let n = 0; n < 20; n++) await say(noisy, newest.nonce, hashOf(700), 60 + n);
    assert.ok((await rows("relay_contradictions")) <= 8 + slack);
    assert.ok((await rows("relay_evidence")) <= 8);
    assert.ok(proven > 0);
    const kept = await db.query("SELECT 1 FROM relay_contradictions WHERE generation = 0");
    assert.equal(kept.length, 1);
  });
});
