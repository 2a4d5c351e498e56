import assert from "node:assert/strict";
import type { IntentStatus } from "#core/sender/sender.ts";
import { attemptsOf } from "#relay/ramp.ts";
import { onDatabase } from "../support/databases.ts";
import { type Scene, sceneCases } from "./laneScene.ts";
import { addressOf, epoch, hashOf } from "./samples.ts";

const included = (status: "success" | "reverted"): IntentStatus => ({
  ...{ state: "included", hash: hashOf(1), blockNumber: 1n, status },
});
const codeOf = async (o: Scene) => (await o.trouble())?.code;
const second = 1_000;

await onDatabase("what a destination allows", (backend) => {
  const each = sceneCases(backend);

  each("is nothing while the lane is paused, and looks become seldom but never end", 2, async (o) => {
    o.scene.isPaused = true;
    for (let n = 0; n < 100; n++) {
      await o.drive();
      o.pass(61 * second);
    }
    assert.deepEqual([o.ids(), await codeOf(o), (await o.trouble())?.misses], [[], "destination-paused", 100]);
    o.scene.isPaused = false;
    await o.drive();
    assert.deepEqual(o.ids(), ["0-1-2-1"]);
  });

  each("is what its bucket holds, less what is on its way; the rest waits until then and no longer", 9, async (o) => {
    // At 1,000 s: three are left of ten, and one more every ten seconds.
    o.scene.bucket = { capacity: 10n, used: 7n, usedAt: 1_000n, window: 100n };
    await o.drive();
    assert.deepEqual(o.ids(), ["0-1-2-1", "0-3-3-1"]);
    const held = await o.trouble();
    assert.deepEqual([held?.code, held?.dueAt.getTime()], ["bucket-empty", 1_010 * second]);
    o.pass(10 * second);
    await o.drive();
    assert.deepEqual(o.ids().slice(2), ["0-4-4-1"]);
  });

  each("may be less than was sent: what its bucket left behind is sent again, as nobody's failure", 4, async (o) => {
    o.scene.bucket = { capacity: 10n, used: 0n, usedAt: 1_000n, window: 100n };
    await o.drive();
    o.scene.head = 1n;
    o.scene.bucket.used = 10n;
    o.scene.intents.set("lane-alpha→beta-0-1-2-1", included("success"));
    await o.drive();
    assert.deepEqual(await o.statuses(), ["delivering", "attested", "delivering", "delivering"]);
    assert.deepEqual([o.ids().length, await codeOf(o)], [2, "bucket-empty"]);
    o.scene.bucket.used = 0n;
    await o.drive();
    assert.deepEqual(o.ids().slice(2), ["0-2-2-2"]);
  });

  each("is not said to have left behind what an endpoint does not show yet", 4, async (o) => {
    o.scene.bucket = { capacity: 10n, used: 0n, usedAt: 1_000n, window: 100n };
    await o.drive();
    const status = included("success");
    assert.ok(status.state === "included");
    o.scene.intents.set("lane-alpha→beta-0-1-2-1", status);
    o.scene.past.set(status.blockNumber, { generation: 0, head: 2n });
    await o.drive();
    assert.equal(o.ids().length, 2, "nothing is sent again");
  });

  each(
    "may be less than was sent, again and again, and batches stay as large and nothing is deferred for it",
    8,
    async (o) => {
      o.scene.bucket = { capacity: 10n, used: 0n, usedAt: 1_000n, window: 100n };
      for (const first of [1n, 2n, 3n]) {
        await o.drive();
        assert.equal(o.ids().at(-1), `0-${first}-8-${first}`);
        o.scene.head = first;
        o.scene.intents.set(o.scene.submitted.at(-1)?.id ?? "", included("success"));
      }
      // Only now something goes wrong.
      o.scene.dryRun = () => ({ detail: "it reverts" });
      await o.drive();
      assert.deepEqual([o.ids().length, await codeOf(o)], [3, "delivery-failed"]);
      o.scene.dryRun = () => undefined;
      o.pass(60 * second);
      await o.drive();
      assert.equal(o.ids().at(-1), "0-8-8-4");
    },
    { maxBatch: 8, operatorAccount: "operator" },
  );

  each("is nothing to do where another relayer was faster: a success, not a failure", 2, async (o) => {
    await o.drive();
    o.scene.intents.set("lane-alpha→beta-0-1-2-1", included("success"));
    o.scene.head = 2n;
    o.pass(600 * second);
    await o.drive();
    assert.deepEqual([o.ids(), await o.statuses()], [["0-1-2-1"], ["delivering", "delivering"]]);
  });

  each("is noted as an endpoint that is down, however long, and goes on when it is back", 2, async (o) => {
    o.scene.hangs = true;
    for (let n = 0; n < 60; n++) {
      await o.drive();
      o.pass(61 * second);
    }
    assert.deepEqual([await codeOf(o), (await o.trouble())?.misses], ["endpoint-down", 60]);
    o.scene.hangs = false;
    await o.drive();
    assert.deepEqual([o.ids(), await o.trouble()], [["0-1-2-1"], undefined]);
  });
});

await onDatabase("a dry-run", (backend) => {
  const each = sceneCases(backend);

  each(
    "narrows a batch to what passes; the message at fault goes alone, and then by its own ramp",
    8,
    async (o) => {
      o.scene.dryRun = ({ first, last }) => (first <= 5n && last >= 5n ? { detail: "burns too much" } : undefined);
      await o.drive();
      assert.deepEqual(o.ids(), ["0-1-4-1"]);
      // Those behind are brought as ids, so that the signature at the end of the batch still serves.
      assert.ok(o.scene.tried.some(({ first, last, later }) => first === 1n && last === 4n && later === 4));
      // On top of what is on its way a revert counts for nothing.
      assert.deepEqual([(await o.statuses())[4], await codeOf(o)], ["final", undefined]);
      o.scene.head = 4n;
      await o.drive();
      assert.deepEqual([o.ids().length, await codeOf(o), (await o.statuses())[4]], [1, "delivery-failed", "final"]);
      assert.match((await o.trouble())?.detail ?? "", /message 5 /);
      const before = o.scene.tried.length;
      await o.drive();
      assert.equal(o.scene.tried.length, before);
      o.scene.dryRun = () => undefined;
      o.pass(1_001);
      await o.drive();
      assert.equal(o.ids()[1], "0-5-8-2");
    },
    { maxBatch: 8 },
  );

  each("stands on what is on its way, without waiting for it", 4, async (o) => {
    await o.drive();
    assert.deepEqual(o.scene.tried, [
      { first: 1n, last: 2n, later: 0 },
      { first: 3n, last: 4n, later: 0, base: 2n },
    ]);
  });

  each("that refuses the lane as a whole blames no message", 2, async (o) => {
    o.scene.dryRun = () => ({ lane: "destination-paused", detail: "LaneIsPaused(1)" });
    await o.drive();
    assert.deepEqual([o.scene.tried.length, await codeOf(o)], [1, "destination-paused"]);
    assert.deepEqual(await o.statuses(), ["final", "final"]);
  });

  each("fails a message so often before it is a dead letter, which holds the lane and says so", 2, async (o) => {
    o.scene.dryRun = () => ({ detail: "never" });
    const attempts = attemptsOf("dry-run-reverts") ?? 0;
    for (let n = 1; n < attempts; n++) {
      await o.drive();
      assert.equal(await codeOf(o), "delivery-failed");
      o.pass(3 * 3_600 * second);
    }
    await o.drive();
    assert.equal(await codeOf(o), "dead-lettered");
    const tried = o.scene.tried.length;
    o.pass(24 * 3_600 * second);
    await o.drive();
    assert.equal(o.scene.tried.length, tried);
    assert.deepEqual(o.ids(), []);
  });

  each(
    "that keeps failing for one message has it deferred where an account may do that, and the lane goes on",
    3,
    async (o) => {
      o.scene.dryRun = ({ first }) => (first === 1n && o.scene.deferred.size === 0 ? { detail: "never" } : undefined);
      for (let n = 0; n < 3; n++) {
        await o.drive();
        o.pass(61 * second);
      }
      const [deferral] = o.scene.submitted;
      assert.deepEqual([deferral?.kind, deferral?.account, deferral?.dryRun], ["relay.defer", "operator", true]);
      o.scene.deferred.add(o.sent[0]?.id ?? "0x");
      await o.drive();
      assert.ok(o.ids().length > 1, o.ids().join());
    },
    { operatorAccount: "operator" },
  );
});

await onDatabase("a quorum that only signed a later message", (backend) => {
  const each = sceneCases(backend);
  each("is used with the ids of the messages up to there", 5, async (o) => {
    o.scene.signed = 0n;
    const { id: _id, accumulator } = o.sent[4] ?? { id: "0x", accumulator: "0x" as const };
    o.scene.words = epoch.all.slice(0, 2).map(({ address }) => ({
      ...{
        generation: 0,
        epoch: 1n,
        validator: address,
        nonce: 5n,
        accumulator,
        signature: `0x${"11".repeat(64)}1b` as const,
      },
    }));
    await o.driver.step(o.lane);
    assert.deepEqual(o.ids(), ["0-1-2-1"]);
    assert.deepEqual(o.scene.tried, [{ first: 1n, last: 2n, later: 3 }]);
  });

  each("is not used where it contradicts the lane", 5, async (o) => {
    o.scene.signed = 0n;
    o.scene.words = epoch.all.slice(0, 2).map(({ address }) => ({
      ...{
        generation: 0,
        epoch: 1n,
        validator: address,
        nonce: 5n,
        accumulator: hashOf(7),
        signature: "0x11" as const,
      },
    }));
    await o.drive();
    assert.deepEqual([o.ids(), await codeOf(o)], [[], "awaiting-quorum"]);
  });
});

await onDatabase("the policy", (backend) => {
  const each = sceneCases(backend);
  const lane = { origin: "alpha", destination: "beta" };

  each(
    "serves no lane that it denies",
    2,
    async (o) => {
      await o.drive();
      assert.deepEqual([o.ids(), await codeOf(o)], [[], "lane-denied"]);
    },
    { denyLanes: [lane] },
  );

  each(
    "waits while gas costs more than its limit, and then goes on",
    2,
    async (o) => {
      o.scene.gasPrice = 51n;
      await o.drive();
      assert.deepEqual([o.ids(), await codeOf(o)], [[], "gas-price-too-high"]);
      o.scene.gasPrice = 50n;
      await o.drive();
      assert.deepEqual(o.ids(), ["0-1-2-1"]);
    },
    { maxGasPrice: { beta: "50" } },
  );

  for (const [worth, goes] of [
    [99n, false],
    [100n, true],
  ] as const) {
    each(
      `${goes ? "delivers" : "does not deliver"} what has paid ${worth} % of what it wants`,
      2,
      async (o) => {
        await o.drive();
        assert.deepEqual(o.ids(), goes ? ["0-1-2-1"] : []);
        assert.equal(await codeOf(o), goes ? undefined : "unprofitable");
      },
      // Two messages of 200,000 gas and a byte: 68,000 + 2 · (200,000 + 9,200 + 40) at 10 wei, and half as much again.
      {
        minProfitPercent: 50,
        fee: ((68_000n + 2n * 209_240n) * 10n * 3n * worth) / (2n * 2n * 100n) + (goes ? 1n : 0n),
      },
    );
  }

  each(
    "has what it denies deferred, and delivers it only then",
    2,
    async (o) => {
      await o.drive();
      assert.deepEqual(
        o.scene.submitted.map(({ kind, account }) => [kind, account]),
        [["relay.defer", "operator"]],
      );
      assert.equal(await codeOf(o), "deferring");
      await o.drive();
      assert.equal(o.scene.submitted.length, 1);
      for (const { id } of o.sent) o.scene.deferred.add(id);
      await o.drive();
      assert.equal(o.ids()[1], "0-1-2-1");
    },
    { denySenders: [addressOf(1)], operatorAccount: "operator" },
  );

  each(
    "stops before a message that it denies and cannot defer, and names it",
    2,
    async (o) => {
      await o.drive();
      assert.deepEqual([o.ids(), await codeOf(o)], [[], "message-denied"]);
      assert.match((await o.trouble())?.detail ?? "", /message 1 .* recipient 0x/);
    },
    { denyRecipients: [addressOf(2)] },
  );
});
