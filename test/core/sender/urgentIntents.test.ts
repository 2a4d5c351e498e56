import assert from "node:assert/strict";
import { it } from "node:test";
import { migrate } from "#core/db/migrate.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { SendSettings } from "#core/sender/context.ts";
import { insertIntents, loadQueued } from "#core/sender/rows.ts";
import { senderMigrations } from "#core/sender/tables.ts";
import { onDatabase, withDatabase } from "../../support/databases.ts";
import { openStage, type Stage, wanted } from "./stage.ts";

const gwei = 10n ** 9n;
const inclusionMs = 20_000;
const lostSends = Array.from({ length: 500 }, () => "silent" as const);

await onDatabase("intents with a deadline", (backend) => {
  type Seen = { readonly stage: Stage; readonly times: number[] };
  const scene = (name: string, settings: Partial<SendSettings>, run: (seen: Seen) => Promise<void>) =>
    it(name, async () => {
      const times: number[] = [];
      const rules: Partial<SendSettings> = {
        feeCeiling: () => 10n * gwei,
        urgentCeilings: () => ({ ordinary: 10n * gwei, unpriced: 40n * gwei }),
        inclusionMs: () => inclusionMs,
        patient: (kind) => kind === "test.refund",
      };
      const stage = await openStage(
        backend,
        { ...rules, ...settings },
        { deps: { onInclusion: (_, ms) => times.push(ms) } },
      );
      try {
        await run({ stage, times });
      } finally {
        await stage.close();
      }
    });

  const alone = (word: number, overrides = {}) => wanted(word, { account: "alice", ...overrides });
  /** Unix seconds, so long after now. */
  const inMs = ({ clock }: Stage, ms: number) => BigInt(Math.ceil((clock.now() + ms) / 1_000));
  const prices = async ({ database }: Stage) => {
    const rows = await database.db.query<{ fee: string }>("SELECT max_fee AS fee FROM sender_attempt ORDER BY place");
    return rows.map(({ fee }) => BigInt(fee));
  };
  const blocks = async (stage: Stage, count: number, ms: number) => {
    for (let n = 0; n < count; n++) {
      stage.chain.mine();
      for (const half of [0, 1]) await stage.pass(Math.ceil(ms / 2) + half);
    }
  };
  const reasonOf = async ({ sender, database }: Stage, id: string) => {
    const status = await sender.find(database.db, id);
    return status !== undefined && "waiting" in status ? status.waiting?.code : undefined;
  };

  scene("are like any other while it is far, and get all they are worth when it is near", {}, async ({ stage }) => {
    const worth = 100_000n * 1_000n * gwei;
    stage.chain.failSends(lostSends);
    await stage.submit(alone(1, { urgency: { by: inMs(stage, 7 * inclusionMs), worth } }));
    await blocks(stage, 20, 2_000);
    const [first = 0n, ...none] = await prices(stage);
    assert.deepEqual(none, []);
    assert.equal(await reasonOf(stage, "want-1"), "inclusion-stalled");
    await blocks(stage, 42, 2_000);
    const all = await prices(stage);
    assert.ok((all.at(-1) ?? 0n) > 800n * gwei && all.every((fee) => fee <= 1_000n * gwei));
    assert.ok(first <= 10n * gwei && all.length > 8);
    stage.chain.failSends([]);
    await stage.finish();
  });

  const outbidding = { outbids: () => true, feeCeiling: () => 1_000n * gwei };
  scene("are priced anew with every block then, and others with every other", outbidding, async ({ stage }) => {
    stage.chain.failSends(lostSends);
    await stage.submit(alone(1, { urgency: { by: inMs(stage, 3 * inclusionMs), worth: 10n ** 18n } }));
    await stage.submit(wanted(2, { account: "bob" }));
    await blocks(stage, 9, 1_100);
    const rows = await stage.database.db.query<{ intent: string; count: number }>(
      "SELECT intent, count(*)::integer AS count FROM sender_attempt GROUP BY intent ORDER BY intent",
    );
    const [urgent = 0, other = 0] = rows.map(({ count }) => count);
    // The first price, and then one with each block, or with each other: 10 and 5 if every look saw one block.
    assert.ok(urgent > other + 2 && urgent <= 10 && other <= 6, `${urgent} and ${other} prices in nine blocks`);
    stage.chain.failSends([]);
    await stage.finish();
  });

  scene("wait for cheaper gas without a nonce only until the deadline is near", {}, async ({ stage }) => {
    stage.chain.setBaseFee(15n * gwei);
    await stage.submit(alone(1, { urgency: { by: inMs(stage, 5 * inclusionMs) } }), alone(2));
    await stage.pass();
    assert.equal(await reasonOf(stage, "want-1"), "gas-price-too-high");
    await blocks(stage, 35, 2_000);
    const states = (await stage.rows()).map(({ state }) => state);
    assert.deepEqual(states, ["finalized", "queued"]);
    stage.chain.setBaseFee(gwei);
    await stage.finish();
  });

  scene("and refunds follow the chain's estimate, and wait while it is no higher", {}, async ({ stage, times }) => {
    stage.chain.failSends(lostSends);
    await stage.submit(alone(1, { kind: "test.refund" }));
    await blocks(stage, 10, 1_100);
    assert.deepEqual(await prices(stage), [2n * gwei + 2n]);
    stage.chain.setBaseFee(3n * gwei);
    await blocks(stage, 4, 1_100);
    assert.deepEqual(await prices(stage), [2n * gwei + 2n, 6n * gwei + 2n]);
    stage.chain.setBaseFee(12n * gwei);
    await blocks(stage, 6, 1_100);
    assert.equal((await prices(stage)).at(-1), 10n * gwei);
    assert.equal(await reasonOf(stage, "want-1"), "gas-price-too-high");
    stage.chain.failSends([]);
    stage.chain.setBaseFee(gwei);
    await stage.finish();
    assert.deepEqual(times, [], "what is in no hurry says nothing about the chain");
  });

  scene("tell how long well-paid ones took, by the block's own time", {}, async ({ stage, times }) => {
    const at = async (block: () => void, ms: number) => {
      stage.chain.failSends([]);
      await stage.submit(alone(times.length + 1));
      await stage.pass();
      const sent = stage.clock.now();
      stage.clock.advance(ms);
      block();
      await stage.pass(1_000);
      return sent;
    };
    await at(() => stage.chain.mineAt((stage.clock.now() - 3_000) / 1_000), 8_000);
    const within = (least: number, most: number) => (times.at(-1) ?? 0) >= least && (times.at(-1) ?? 0) <= most;
    assert.equal(Number(times.length), 1);
    assert.ok(within(4_900, 6_100), `${times}`);
    // Its block is not the head any more when it is seen.
    await at(() => {
      stage.chain.mineAt((stage.clock.now() - 20_000) / 1_000);
      stage.chain.mineAt(stage.clock.now() / 1_000);
    }, 30_000);
    assert.equal(Number(times.length), 2);
    assert.ok(within(9_900, 11_100), `${times}`);
    // A block whose time runs ahead came no later than it was seen.
    await at(() => stage.chain.mineAt(stage.clock.now() / 1_000 + 900), 4_000);
    assert.equal(Number(times.length), 3);
    assert.ok(within(4_000, 5_100), `${times}`);
  });

  scene(
    "tell nothing of what waited for its price, for money or for a node that refused it",
    {},
    async ({ stage, times }) => {
      await stage.submit(alone(1), alone(2));
      await stage.pass();
      stage.chain.setBaseFee(11n * gwei);
      await blocks(stage, 8, 1_100);
      assert.equal(await reasonOf(stage, "want-1"), "gas-price-too-high");
      stage.chain.setBaseFee(gwei);
      await stage.finish();
      stage.chain.failSends(["refused"]);
      await stage.submit(alone(3));
      await stage.finish();
      stage.chain.failSends(["loud"]);
      await stage.submit(alone(4));
      await stage.finish();
      assert.deepEqual(times, []);
      await stage.submit(alone(5));
      await stage.finish();
      assert.equal(Number(times.length), 1);
    },
  );

  it("are stored with it, and refused when what is stored is none", () =>
    withDatabase(backend, async ({ db }) => {
      await migrate(db, [...eventMigrations, ...senderMigrations]);
      const lane = { chain: "alpha", account: "alice" };
      const all = [alone(1, { urgency: { by: 7n, worth: 2n ** 90n } }), alone(2, { urgency: { by: 8n } }), alone(3)];
      await insertIntents(db, all, { channel: "test", at: 1 });
      const stored = async () => (await loadQueued(db, lane, 9, { ids: [], lines: [] })).map(({ intent }) => intent);
      assert.deepEqual(
        (await stored()).map(({ urgency }) => urgency),
        all.map(({ urgency }) => urgency),
      );
      await db.query(`UPDATE sender_intent SET urgency = '{"by":-1}' WHERE id = 'want-2'`);
      await assert.rejects(stored);
    }));
});
