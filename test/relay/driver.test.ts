import assert from "node:assert/strict";
import type { IntentStatus } from "#core/sender/sender.ts";
import { onDatabase } from "../support/databases.ts";
import { sceneCases } from "./laneScene.ts";
import { hashOf } from "./samples.ts";

await onDatabase("the driver of a lane", (backend) => {
  const each = sceneCases(backend);

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

  each("records a delivery that failed, waits for its ramp, and tries again with fewer messages", 4, async (o) => {
    await o.drive();
    assert.deepEqual(o.ids(), ["0-1-2-1", "0-3-4-1"]);
    o.scene.intents.set("lane-alpha→beta-0-1-2-1", { state: "abandoned", reason: "expired", detail: "too late" });
    await o.drive();
    assert.deepEqual(await o.statuses(), ["attested", "attested", "delivering", "delivering"]);
    assert.equal((await o.trouble())?.code, "delivery-failed");
    assert.equal(o.ids().length, 2);
    o.pass(1_001);
    await o.drive();
    assert.deepEqual(o.ids().slice(2), ["0-1-1-2", "0-2-2-2"]);
    // The one behind it came too early and reverted: it follows without being final.
    const behind: IntentStatus = { state: "included", hash: hashOf(1), status: "reverted", blockNumber: 1n };
    o.scene.intents.set("lane-alpha→beta-0-3-4-1", behind);
    await o.drive();
    o.pass(1_001);
    await o.drive();
    assert.deepEqual(o.ids().slice(4), ["0-3-3-2", "0-4-4-2"]);
  });

  each(
    "delivers again what was final in a block that is gone for good, and not while an endpoint lags",
    4,
    async (o) => {
      await o.drive();
      const final: IntentStatus = {
        state: "finalized",
        hash: hashOf(1),
        status: "success",
        blockNumber: 1n,
        gasUsed: 1n,
      };
      o.scene.intents.set("lane-alpha→beta-0-1-2-1", final);
      await o.drive();
      o.pass(59_000);
      await o.drive();
      assert.equal(o.ids().length, 2);
      o.scene.head = 2n;
      await o.drive();
      o.scene.head = 0n;
      o.pass(59_000);
      await o.drive();
      assert.equal(o.ids().length, 2);
      o.pass(60_000);
      await o.drive();
      assert.equal((await o.trouble())?.code, "delivery-failed");
      o.pass(1_001);
      await o.drive();
      assert.deepEqual(o.ids().slice(2), ["0-1-1-2", "0-2-2-2"]);
    },
  );

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
