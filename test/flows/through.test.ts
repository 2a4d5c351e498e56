import assert from "node:assert/strict";
import { before, it } from "node:test";
import type { MessageAnswer } from "#app/demo/api.ts";
import { forEachHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import { chainFacts } from "./chainFacts.ts";
import { messageRequest, type SwapAnswer, swapRequest } from "./requests.ts";

type Page = { swaps: SwapAnswer[]; next?: string };
type Message = MessageAnswer & { onchainId?: string };
const timeoutMs = 60_000;

await forEachHome("a network", (home) => {
  const open = shareNetwork(home);
  let test: TestNetwork;
  let swap: SwapAnswer;
  before(() => {
    test = open();
  });

  const post = async (path: string, body: unknown) => {
    const response = await fetch(`${test.network.api}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${test.network.token()}` },
      body: JSON.stringify(body),
    });
    return {
      status: response.status,
      answer: (await response.json()) as { code?: string; field?: string; id: string },
    };
  };

  it("delivers a message each way, which can be found by both its ids", async () => {
    const { api, network } = test;
    for (const [origin, destination] of [
      ["alpha", "beta"],
      ["beta", "alpha"],
    ] as const) {
      const recorded = chainFacts(network, destination).recorded;
      const before = await recorded();
      const { id } = await api.post<Message>("/v1/messages", messageRequest(network, origin, destination));
      const message = await api.until<Message>(`/v1/messages/${id}`, ({ status }) => status === "delivered", timeoutMs);
      assert.equal((await api.get<Message>(`/v1/messages/${message.onchainId}`)).id, id);
      assert.equal(await recorded(), before + 1n);
    }
  });

  it("completes a swap, which can be found by its id, its hashlock and its locks", async () => {
    const { api, network } = test;
    const { id, status, timeline } = await api.post<SwapAnswer>("/v1/swaps", swapRequest(network));
    assert.deepEqual([status, timeline.length], ["requested", 1]);
    swap = await api.until<SwapAnswer>(`/v1/swaps/${id}`, (answer) => answer.status === "completed", timeoutMs);
    for (const reference of [swap.hashlock, swap.source.lockId, swap.target.lockId]) {
      assert.equal((await api.get<SwapAnswer>(`/v1/swaps/${reference}`)).id, id);
    }
  });

  it("has observed how long its transactions took, on both chains", async () => {
    type Chain = { observed: { inclusionSeconds?: number; skewSeconds?: number } };
    const { chains } = await test.api.get<{ chains: Chain[] }>("/v1/chains");
    const seen = chains.map(({ observed }) => [typeof observed.inclusionSeconds, typeof observed.skewSeconds]);
    assert.deepEqual(seen, [
      ["number", "number"],
      ["number", "number"],
    ]);
  });

  it("refuses to claim or refund what has ended", async () => {
    assert.deepEqual((await post(`/v1/swaps/${swap.id}/claim`, {})).answer.code, "swap-over");
    assert.deepEqual((await post(`/v1/swaps/${swap.id}/refund`, {})).answer.code, "swap-over");
  });

  it("promises a balance to one swap only, also when they are asked for at once", async () => {
    const large = { ...swapRequest(test.network) };
    large.source = { ...large.source, amount: "600000000000000000000" };
    const answers = await Promise.all([post("/v1/swaps", large), post("/v1/swaps", large)]);
    assert.deepEqual(answers.map(({ status }) => status).sort(), [202, 422]);
    const refused = answers.find(({ status }) => status === 422)?.answer;
    assert.deepEqual([refused?.code, refused?.field], ["balance-insufficient", "source.amount"]);
    const id = answers.find(({ status }) => status === 202)?.answer.id;
    await test.api.until<SwapAnswer>(`/v1/swaps/${id}`, ({ status }) => status === "completed", timeoutMs);
  });

  it("lists swaps newest first, page by page", async () => {
    const ids: string[] = [];
    let page: Page = { swaps: [], next: "" };
    while (page.next !== undefined) {
      page = await test.api.get<Page>(`/v1/swaps?limit=1${page.next && `&cursor=${page.next}`}`);
      const [only, ...more] = page.swaps.map(({ id }) => id);
      assert.deepEqual(more, []);
      assert.ok(only === undefined || !ids.includes(only), "a page was there before");
      if (only !== undefined) ids.push(only);
    }
    assert.equal(ids[1], swap.id, "one was asked for after it");
    const { swaps } = await test.api.get<Page>("/v1/swaps?limit=100");
    assert.deepEqual(
      swaps.map(({ id }) => id),
      ids,
    );
  });
});
