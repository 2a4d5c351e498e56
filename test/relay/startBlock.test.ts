import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import type { Hex } from "#core/kernel/codec.ts";
import { type DatabaseBackend, type OpenDatabase, onDatabase } from "../support/databases.ts";
import { until } from "../support/until.ts";
import {
  type Harness,
  openHarness,
  openSites,
  type Sites,
  sendDirectly,
  validatorNames,
  type WireMessage,
} from "./harness.ts";

type LaneView = { readonly lane: string; readonly seen: string; readonly reason?: { code: string; message: string } };

await onDatabase("a chain that is read from a block after the first messages of a lane", (backend) => {
  let sites: Sites;
  let database: OpenDatabase;
  before(async () => {
    sites = await openSites();
    database = await backend.open();
  });
  after(async () => {
    await database?.close();
    await Promise.all([sites?.alpha.local.close(), sites?.beta.local.close()]);
  });

  /** The database outlives the service. */
  const kept: DatabaseBackend = {
    ...backend,
    open: async () => ({ ...database, close: async () => undefined }),
  };
  const send = (payload: Hex) => sendDirectly(sites.alpha, sites.beta, sites.beta.contracts.recorder, payload);
  const laneOf = async (h: Harness) => {
    const { lanes } = (await h.api<{ lanes: LaneView[] }>("GET", "/v1/lanes")).body;
    return lanes.find(({ lane }) => lane === "alpha→beta");
  };
  const alphaOf = (h: Harness) => {
    const status = h.indexers[0]?.status();
    assert.ok(status);
    return status;
  };

  it("says so and what to do, of the lane and of the chain, and follows the chain meanwhile", async () => {
    await send("0x01");
    const startBlocks = { alpha: Number(await sites.alpha.local.height()) + 1 };
    await sites.alpha.local.mine(1);
    const h = await openHarness(kept, sites, { startBlocks, recheckMs: 30 });
    try {
      await send("0x02");
      const { message } = await until(() => {
        const { error } = alphaOf(h);
        return error?.code === "start-block-too-high" && error;
      }, "the indexer says that its start block is too high");
      assert.match(message, /alpha→beta: its messages up to 1 .*before block \d+ of alpha.*lower `startBlock`/);
      const lane = await laneOf(h);
      assert.deepEqual([lane?.seen, lane?.reason?.code], ["0", "start-block-too-high"]);
      assert.match(lane?.reason?.message ?? "", /lower `startBlock` of alpha/);
      assert.match((await h.relay.concerns()).join(), /^start-block-too-high: alpha→beta/);
      await sites.alpha.local.mine(2);
      const height = await sites.alpha.local.height();
      await until(() => alphaOf(h).indexed === height, "the chain is followed");
      assert.equal(alphaOf(h).state, "running");
    } finally {
      await h.close();
    }
  });

  it("is mended by lowering it: all messages are found and delivered", async () => {
    const h = await openHarness(kept, sites, { recheckMs: 30 });
    try {
      await Promise.all(validatorNames.map((name) => h.startValidator(name)));
      await send("0x03");
      await until(async () => {
        const { messages } = (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?origin=alpha")).body;
        return messages.length === 3 && messages.every(({ status }) => status === "delivered");
      }, "all three are delivered");
      await until(() => alphaOf(h).error === undefined && alphaOf(h).verified === alphaOf(h).final, "all agrees");
      assert.deepEqual([(await laneOf(h))?.reason, await h.relay.concerns()], [undefined, []]);
    } finally {
      await h.close();
    }
  });

  it("says so of the destination too, where what became of messages is from before", async () => {
    const startBlocks = { beta: Number(await sites.beta.local.height()) + 1 };
    await sites.beta.local.mine(1);
    const h = await openHarness(backend, sites, { startBlocks, recheckMs: 30 });
    try {
      const { message } = await until(() => {
        const error = h.indexers[1]?.status().error;
        return error?.code === "start-block-too-high" && error;
      }, "the indexer says that its start block is too high");
      assert.match(message, /alpha→beta: its messages up to 3 .*lower `startBlock` of beta/);
      assert.equal((await laneOf(h))?.reason?.code, "start-block-too-high");
    } finally {
      await h.close();
    }
  });
});
