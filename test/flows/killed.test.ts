import assert from "node:assert/strict";
import { it } from "node:test";
import type { MessageAnswer } from "#app/demo/api.ts";
import { checkBalances } from "#app/demo/balances.ts";
import { scenarios } from "#app/demo/swaps.ts";
import { forEachHome, shareNetwork } from "#test/support/network.ts";
import { chainFacts } from "./chainFacts.ts";
import { messageRequest, type SwapAnswer, swapRequest } from "./requests.ts";

/** A mark at which the service kills itself with SIGKILL: after a durable write, or after bytes have left. */
const everyHome = "broadcast/swap.claim-target";
/** One home is enough for these: they differ in what is written, not in where. */
const furtherMarks = {
  swap: [
    ...["broadcast/swap.lock-source", "broadcast/swap.lock-target"],
    ...["signed/swap.claim-target", "broadcast/swap.claim-source"],
  ],
  message: ["broadcast/relay.deliver", "indexed/alpha", "signed/relay.deliver", "indexed/beta"],
};
const timeoutMs = 60_000;

await forEachHome("a service killed in the middle", (home) => {
  const open = shareNetwork(home);

  /** Starts the service so that it dies at the mark, waits for that, and starts it as it should be. */
  async function dyingAt<T>(mark: string, work: () => Promise<T>): Promise<T> {
    const { service } = open().network;
    await service.stop();
    await service.start({ LOCKSTEP_CRASH_AT: mark });
    const result = await work();
    await service.ended();
    await service.start();
    return result;
  }

  const further = home.name === "PostgreSQL" ? furtherMarks : { swap: [], message: [] };

  for (const mark of [everyHome, ...further.swap]) {
    it(`finishes a swap exactly once after dying at ${mark}`, async () => {
      const { network, api, ledger } = open();
      const before = await ledger.holdings(["alice", "bob"]);
      const { id } = await dyingAt(mark, () => api.post<SwapAnswer>("/v1/swaps", swapRequest(network)));
      const ended = ({ status }: SwapAnswer) => ["completed", "refunded", "failed"].includes(status);
      const swap = await api.until<SwapAnswer>(`/v1/swaps/${id}`, ended, timeoutMs);
      assert.equal(swap.status, "completed", JSON.stringify(swap, null, 2));
      const once = { Locked: 1, Claimed: 1, Refunded: 0 };
      assert.deepEqual(await chainFacts(network, "alpha").timelockEvents(swap.source.lockId), once);
      assert.deepEqual(await chainFacts(network, "beta").timelockEvents(swap.target.lockId), once);
      assert.deepEqual(checkBalances(before, await ledger.holdings(["alice", "bob"]), scenarios), []);
    });
  }

  for (const mark of further.message) {
    it(`delivers a message exactly once after dying at ${mark}`, async () => {
      const { network, api } = open();
      const recorded = chainFacts(network, "beta").recorded;
      const before = await recorded();
      const { id } = await dyingAt(mark, () => api.post<MessageAnswer>("/v1/messages", messageRequest(network)));
      const ended = ({ status }: MessageAnswer) => ["delivered", "failed", "dropped"].includes(status);
      const { status } = await api.until<MessageAnswer>(`/v1/messages/${id}`, ended, timeoutMs);
      assert.equal(status, "delivered");
      assert.equal(await recorded(), before + 1n);
    });
  }
});
