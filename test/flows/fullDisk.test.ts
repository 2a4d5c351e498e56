import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { describe, it } from "node:test";
import { createClient } from "#app/client/index.ts";
import type { MessageAnswer } from "#app/demo/api.ts";
import { checkBalances } from "#app/demo/balances.ts";
import { scenarios } from "#app/demo/swaps.ts";
import { canFillDisk, fillDisk } from "#test/support/fullDisk.ts";
import { embeddedHome, openNetwork } from "#test/support/network.ts";
import { until } from "#test/support/until.ts";
import { chainFacts } from "./chainFacts.ts";
import { assertOnce } from "./lockFacts.ts";
import { messageRequest, type SwapAnswer, swapRequest } from "./requests.ts";

const timeoutMs = 120_000;
const ended = ({ status }: MessageAnswer) => ["delivered", "failed", "dropped"].includes(status);
const over = ({ status }: SwapAnswer) => ["completed", "refunded", "failed"].includes(status);

if (canFillDisk()) describe("a disk that is full", cases);
else
  describe("a disk that is full", () => it("a disk that is full", { skip: "no Linux with prlimit" }, () => undefined));

function cases(): void {
  it("under the embedded database loses nothing that was accepted, and accepts nothing that it would lose", async () => {
    const { network, api, ledger, close } = await openNetwork(embeddedHome);
    try {
      const client = createClient({ url: network.api, token: network.token(), timeoutMs: 3_000, retries: 0 });
      const before = await ledger.holdings(["alice", "bob"]);
      const recorded = chainFacts(network, "beta").recorded;
      const recordedBefore = await recorded();
      const swap = await api.post<SwapAnswer>("/v1/swaps", swapRequest(network));
      const order = messageRequest(network) as Parameters<typeof client.messages.send>[0];
      const accepted = [(await client.messages.send(order)).id];
      const makeRoom = fillDisk(network.layout.service);
      const keys = Array.from({ length: 8 }, () => randomUUID());
      let refused = 0;
      for (const idempotencyKey of keys) {
        const sent = await client.messages.send(order, { idempotencyKey }).catch(() => undefined);
        if (sent) accepted.push(sent.id);
        else refused += 1;
      }
      assert.ok(refused > 0, "the database went on writing");
      makeRoom();
      // Whoever was refused asks again under the same key: what was done all the same is not done twice.
      for (const idempotencyKey of keys) {
        const ask = () => client.messages.send(order, { idempotencyKey }).catch(() => undefined);
        await until(
          async () => {
            const sent = await ask();
            if (sent) accepted.push(sent.id);
            return sent !== undefined;
          },
          "a message is taken again",
          timeoutMs,
        );
      }
      const messages = [...new Set(accepted)];
      assert.equal(messages.length, 1 + keys.length);
      for (const id of messages) {
        const { status } = await api.until<MessageAnswer>(`/v1/messages/${id}`, ended, timeoutMs);
        assert.equal(status, "delivered");
      }
      const done = await api.until<SwapAnswer>(`/v1/swaps/${swap.id}`, over, timeoutMs);
      assert.equal(done.status, "completed", JSON.stringify(done, null, 2));
      await assertOnce(network, [done]);
      assert.equal(await recorded(), recordedBefore + BigInt(messages.length));
      assert.deepEqual(checkBalances(before, await ledger.holdings(["alice", "bob"]), scenarios.slice(0, 1)), []);
    } finally {
      await close();
    }
  });

  it("under a quorum of validators holds their signatures back, and gives them once there is room", async () => {
    const { network, api, close } = await openNetwork();
    try {
      const full = network.validators.slice(0, 2).map(({ name }) => fillDisk(network.layout.validator(name)));
      const { id } = await api.post<MessageAnswer>("/v1/messages", messageRequest(network));
      const isFinal = ({ timeline }: MessageAnswer) => timeline.some(({ what }) => what === "MessageFinalized");
      await api.until<MessageAnswer>(`/v1/messages/${id}`, isFinal, timeoutMs);
      const { status } = await api.get<MessageAnswer>(`/v1/messages/${id}`);
      assert.ok(!["delivering", "delivered"].includes(status), status);
      for (const makeRoom of full) makeRoom();
      assert.equal((await api.until<MessageAnswer>(`/v1/messages/${id}`, ended, timeoutMs)).status, "delivered");
    } finally {
      await close();
    }
  });
}
