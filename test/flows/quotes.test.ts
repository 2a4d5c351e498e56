import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { parseAbi } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { anyHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import { chainFacts } from "./chainFacts.ts";
import { createOutsider, type ExternalSwap } from "./outsider.ts";
import type { SwapAnswer } from "./requests.ts";

const timeoutMs = 60_000;
const coin = 10n ** 18n;
const native = { type: "native" } as const;
const erc20 = parseAbi(["function balanceOf(address) view returns (uint256)"]);

type Side = { chain: string; asset: object; amount: string };
type Quote = { quote: string; expiresAt: string; source: Side; target: Side; fee: string };
type DeskAnswer = { open: number; pairs: { target: { available: string }; price: object; reason?: string }[] };
type Problem = { code: string; field?: string; details?: Record<string, string> };

const home = await anyHome();

describe("a desk", () => {
  const open = shareNetwork(home);
  let test: TestNetwork;
  let token: Hex;
  before(() => {
    test = open();
    token = test.network.chains.beta!.deployment.token;
  });

  const asking = (side: "source" | "target", amount: bigint) => ({
    source: { chain: "alpha", asset: native, ...(side === "source" && { amount: amount.toString() }) },
    target: {
      chain: "beta",
      asset: { type: "erc20", address: token },
      ...(side === "target" && { amount: amount.toString() }),
    },
  });
  const quoteOf = (side: "source" | "target", amount: bigint) =>
    test.api.post<Quote>("/v1/quotes", asking(side, amount));
  const addressOf = (account: string) => test.network.accounts[account]!.address;
  const tokens = (holder: Hex) =>
    chainFacts(test.network, "beta").client.readContract({
      address: token,
      abi: erc20,
      functionName: "balanceOf",
      args: [holder],
    });
  const desk = () => test.api.get<DeskAnswer>("/v1/desk");

  async function refused(path: string, body: unknown): Promise<Problem> {
    const response = await fetch(`${test.network.api}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${test.network.token()}` },
      body: JSON.stringify(body),
    });
    assert.ok(response.status >= 400 && response.status < 500, String(response.status));
    return (await response.json()) as Problem;
  }

  it("quotes a swap, takes the other side of it, and both get what was quoted", async () => {
    const { open: openBefore, pairs } = await desk();
    assert.equal(pairs[0]?.reason, undefined);
    const held = { alice: await tokens(addressOf("alice")), desk: await tokens(addressOf("desk")) };
    const quote = await quoteOf("source", coin);
    assert.deepEqual([quote.target.amount, quote.fee], ["2492500000", "7500000"]);
    const body = { quote: quote.quote, initiator: { account: "alice" } };
    const { id, source, target } = await test.api.post<SwapAnswer & { source: Side; target: Side }>("/v1/swaps", body);
    assert.deepEqual([source.amount, target.amount], [coin.toString(), "2492500000"]);
    assert.equal((await desk()).open, openBefore + 1);
    const used = await refused("/v1/swaps", body);
    assert.deepEqual([used.code, used.field, used.details?.swap], ["quote-used", "quote", id]);
    await test.api.until<SwapAnswer>(`/v1/swaps/${id}`, ({ status }) => status === "completed", timeoutMs);
    assert.equal((await tokens(addressOf("alice"))) - held.alice, 2_492_500_000n);
    assert.equal(held.desk - (await tokens(addressOf("desk"))), 2_492_500_000n);
    await test.api.until<DeskAnswer>("/v1/desk", (now) => now.open === openBefore, timeoutMs);
  });

  it("takes the other side of somebody outside the service, who asks for an exact amount", async () => {
    const eve = createOutsider(test);
    await Promise.all([eve.fund("alpha"), eve.fund("beta")]);
    const quote = await quoteOf("target", 1_000_000_000n);
    assert.equal(quote.source.amount, "401203610832497493");
    const initiator = { initiator: eve.party, hashlock: eve.hashlock };
    const swap = await test.api.post<ExternalSwap>("/v1/swaps", { quote: quote.quote, ...initiator });
    await eve.send(swap);
    const locked = await test.api.until<ExternalSwap>(
      `/v1/swaps/${swap.id}`,
      ({ next }) => next?.action === "claim-target",
      timeoutMs,
    );
    await eve.send(locked, { withSecret: true });
    await test.api.until<ExternalSwap>(`/v1/swaps/${swap.id}`, ({ status }) => status === "completed", timeoutMs);
    assert.equal(await tokens(eve.address), 1_000_000_000n);
  });

  it("refuses what it does not trade, and says which field and why", async () => {
    const good = asking("source", coin);
    const cases: [unknown, string, string][] = [
      [asking("source", 1n), "amount-out-of-range", "source.amount"],
      [asking("target", 10n ** 12n), "amount-out-of-range", "target.amount"],
      [{ ...good, target: { chain: "beta", asset: native } }, "pair-unknown", "target.asset"],
      [{ ...good, source: { ...good.source, chain: "gamma" } }, "pair-unknown", "source.asset"],
      [{ ...good, source: { chain: "alpha", asset: native } }, "request-invalid", "source.amount"],
      [{ ...good, target: { ...good.target, amount: "1" } }, "request-invalid", "target.amount"],
      [{ ...good, source: { ...good.source, amount: "1.5" } }, "request-invalid", "source.amount"],
      [{ ...good, source: { ...good.source, amount: "0" } }, "request-invalid", "source.amount"],
      [
        { ...good, source: { ...good.source, asset: { type: "erc20", address: "0x12" } } },
        "request-invalid",
        "source.asset.address",
      ],
      [{ source: good.source }, "request-invalid", "target"],
    ];
    for (const [body, code, field] of cases) {
      const problem = await refused("/v1/quotes", body);
      assert.deepEqual([problem.code, problem.field], [code, field], JSON.stringify(problem));
    }
  });

  it("refuses quotes it did not make, and other terms than it quotes", async () => {
    const initiator = { account: "alice" };
    const { quote } = await quoteOf("source", coin);
    const changed = quote.slice(0, 40) + (quote[40] === "A" ? "B" : "A") + quote.slice(41);
    for (const made of [changed, "AAAA", `${quote}A`])
      assert.equal((await refused("/v1/swaps", { quote: made, initiator })).code, "quote-invalid");
    const named = { source: { ...asking("source", coin).source }, target: asking("target", 2_492_500_001n).target };
    const own = { ...named, initiator, counterparty: { account: "desk" } };
    const moved = await refused("/v1/swaps", own);
    assert.deepEqual([moved.code, moved.field, moved.details?.now], ["price-moved", "target.amount", "2492500000"]);
    const address = addressOf("desk");
    const outside = await refused("/v1/swaps", { ...own, counterparty: { source: address, target: address } });
    assert.deepEqual([outside.code, outside.field], ["request-invalid", "counterparty.source"]);
    const tipping = { ...own, target: { ...named.target, amount: "1000000", tip: "1" } };
    assert.equal((await refused("/v1/swaps", tipping)).field, "target.tip");
    assert.equal((await refused("/v1/swaps", { initiator })).field, "source");
  });
});
