import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { encodeFunctionData, parseAbi, zeroAddress } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { lockId } from "#swap/protocol/lockId.ts";
import { encodeLock } from "#swap/protocol/timelock.ts";
import { permit2Address } from "#swap/protocol/typedData.ts";
import { anyHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import permit2 from "#test/vectors/permit2.json" with { type: "json" };
import { type BridgeSide, bridgeSide } from "./bridgeNetwork.ts";
import { createOutsider, type ExternalSwap, type Outsider } from "./outsider.ts";

const timeoutMs = 60_000;
const coin = "1000000000000000";
const mintable = parseAbi([
  "function mint(address to, uint256 what)",
  "function mint(address to, uint256 tokenId, uint256 amount)",
  "function approve(address spender, uint256 amount)",
]);
const native = { type: "native" } as const;

const home = await anyHome();

describe("a swap with parties outside the service", () => {
  const open = shareNetwork(home);
  let test: TestNetwork;
  let alpha: BridgeSide;
  let beta: BridgeSide;
  let permitToken: Hex;
  let nft: Hex;
  let multi: Hex;
  before(async () => {
    test = open();
    alpha = bridgeSide(test, "alpha");
    beta = bridgeSide(test, "beta");
    permitToken = await alpha.deploy("contracts/mocks/PermitToken.sol/PermitToken");
    nft = await beta.deploy("contracts/mocks/Items.sol/PlainNft");
    multi = await beta.deploy("contracts/mocks/Items.sol/PlainMultiToken");
  });

  const request = (body: object) => test.api.post<ExternalSwap>("/v1/swaps", body);
  const until = (id: string, done: (swap: ExternalSwap) => boolean) =>
    test.api.until<ExternalSwap>(`/v1/swaps/${id}`, done, timeoutMs);
  const awaits = (action: string) => (swap: ExternalSwap) => swap.next?.action === action;
  const reaches = async (id: string, status: string) => {
    const ends = ["completed", "refunded", "failed", "initiatorLost", "counterpartyLost"];
    const swap = await until(id, (each) => ends.includes(each.status));
    assert.equal(swap.status, status, JSON.stringify(swap, null, 2));
    return swap;
  };
  const refusal = async (path: string, body: object) => {
    const response = await fetch(`${test.network.api}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${test.network.token()}` },
      body: JSON.stringify(body),
    });
    const { code, field } = (await response.json()) as { code?: string; field?: string };
    return [response.status, code, field];
  };
  const mint = (side: BridgeSide, token: Hex, ...args: readonly [Hex, bigint] | readonly [Hex, bigint, bigint]) =>
    side.send("deployer", {
      to: token,
      data: encodeFunctionData({ abi: mintable, functionName: "mint", args: args as never }),
    });
  const tokensForCoin = (initiator: Outsider, token: Hex) => ({
    source: { chain: "alpha", asset: { type: "erc20", address: token }, amount: "500" },
    target: { chain: "beta", asset: native, amount: coin },
    initiator: initiator.party,
    hashlock: initiator.hashlock,
    counterparty: { account: "bob" },
  });

  it("completes with an initiator who sends the ready transactions", async () => {
    const eve = createOutsider(test);
    await Promise.all([eve.fund("alpha"), eve.fund("beta"), mint(alpha, permitToken, eve.address, 500n)]);
    const before = await eve.balance("beta");
    const swap = await request(tokensForCoin(eve, permitToken));
    assert.deepEqual(
      swap.next?.transactions.map(({ what }) => what),
      ["approve", "lock"],
    );
    await eve.send(swap);
    const locked = await until(swap.id, awaits("claim-target"));
    await eve.send(locked, { withSecret: true });
    await reaches(swap.id, "completed");
    assert.ok((await eve.balance("beta")) > before, "it was paid, less the gas of its claim");
    const bobs = await alpha.read<bigint>(permitToken, "function balanceOf(address) view returns (uint256)", [
      test.network.accounts.bob!.address,
    ]);
    assert.equal(bobs, 500n);
  });

  it("completes with an initiator who never holds coin for gas: a permit, a signed lock, and its secret", async () => {
    const eve = createOutsider(test);
    await mint(alpha, permitToken, eve.address, 500n);
    const swap = await request(tokensForCoin(eve, permitToken));
    const path = `/v1/swaps/${swap.id}`;
    await test.api.post(`${path}/signatures`, {
      leg: "source",
      kind: "permit",
      signature: await eve.sign(swap, "permit"),
    });
    await test.api.post(`${path}/signatures`, { leg: "source", kind: "lock", signature: await eve.sign(swap, "lock") });
    const locked = await until(swap.id, awaits("claim-target"));
    const stranger = createOutsider(test);
    assert.deepEqual(await refusal(`${path}/claim`, { secret: stranger.secret }), [422, "secret-wrong", "secret"]);
    await test.api.post(`${path}/claim`, { secret: eve.secret });
    const ended = await reaches(swap.id, "completed");
    assert.equal(await eve.balance("beta"), BigInt(coin));
    assert.equal(await eve.balance("alpha"), 0n);
    assert.ok(
      !JSON.stringify(locked).includes(eve.secret.slice(2)) && !JSON.stringify(ended).includes(eve.secret.slice(2)),
    );
  });

  it("completes with an initiator who signs for Permit2", async () => {
    await alpha.setCode(permit2Address, permit2.code as Hex);
    const eve = createOutsider(test);
    await Promise.all([eve.fund("alpha"), mint(alpha, permitToken, eve.address, 500n)]);
    const swap = await request(tokensForCoin(eve, permitToken));
    const path = `/v1/swaps/${swap.id}/signatures`;
    const body = { leg: "source", kind: "permit2", signature: await eve.sign(swap, "permit2") };
    assert.deepEqual(await refusal(path, body), [409, "allowance-missing", "signature"]);
    const first = (shown: ExternalSwap) => shown.next?.typedData.find(({ kind }) => kind === "permit2")?.transactions;
    const [approval, ...others] = first(swap) ?? [];
    assert.ok(approval && others.length === 0);
    await eve.sendOne(approval);
    assert.equal(first(await until(swap.id, awaits("lock-source"))), undefined, "it is there now");
    await test.api.post(`/v1/swaps/${swap.id}/signatures`, {
      leg: "source",
      kind: "permit2",
      signature: await eve.sign(swap, "permit2"),
    });
    await until(swap.id, awaits("claim-target"));
    await test.api.post(`/v1/swaps/${swap.id}/claim`, { secret: eve.secret });
    await reaches(swap.id, "completed");
  });

  it("completes with a counterparty who gives an ERC-721", async () => {
    const zoe = createOutsider(test);
    await Promise.all([zoe.fund("beta"), mint(beta, nft, zoe.address, 7n)]);
    const swap = await request({
      source: { chain: "alpha", asset: native, amount: coin },
      target: { chain: "beta", asset: { type: "erc721", address: nft, tokenId: "7" }, amount: "1" },
      initiator: { account: "alice" },
      counterparty: zoe.party,
    });
    await zoe.send(await until(swap.id, awaits("lock-target")));
    await reaches(swap.id, "completed");
    const owner = await beta.read<Hex>(nft, "function ownerOf(uint256) view returns (address)", [7n]);
    assert.equal(owner, test.network.accounts.alice!.address);
    assert.equal(await zoe.balance("alpha"), BigInt(coin), "the service claimed for it too");
  });

  it("gives items of the service's own accounts, and takes them", async () => {
    const [alice, bob] = [test.network.accounts.alice!.address, test.network.accounts.bob!.address];
    await mint(beta, nft, alice, 8n);
    await mint(beta, multi, alice, 5n, 30n);
    for (const [asset, amount] of [
      [{ type: "erc721", address: nft, tokenId: "8" }, "1"],
      [{ type: "erc1155", address: multi, tokenId: "5" }, "20"],
    ] as const) {
      const source = { chain: "beta", asset, amount };
      const target = { chain: "alpha", asset: native, amount: coin };
      const swap = await request({ source, target, initiator: { account: "alice" }, counterparty: { account: "bob" } });
      await reaches(swap.id, "completed");
    }
    assert.equal(await beta.read<Hex>(nft, "function ownerOf(uint256) view returns (address)", [8n]), bob);
    assert.equal(
      await beta.read<bigint>(multi, "function balanceOf(address, uint256) view returns (uint256)", [bob, 5n]),
      20n,
    );
  });

  it("coordinates two parties outside, who send everything themselves", async () => {
    const [eve, zoe] = [createOutsider(test), createOutsider(test)];
    for (const chain of ["alpha", "beta"]) await Promise.all([eve.fund(chain), zoe.fund(chain)]);
    await mint(beta, multi, zoe.address, 6n, 4n);
    const swap = await request({
      source: { chain: "alpha", asset: native, amount: coin, tip: "5" },
      target: { chain: "beta", asset: { type: "erc1155", address: multi, tokenId: "6" }, amount: "4" },
      initiator: eve.party,
      hashlock: eve.hashlock,
      counterparty: zoe.party,
    });
    assert.deepEqual(swap.next?.typedData, [], "nobody would send what is signed");
    await eve.send(swap);
    await zoe.send(await until(swap.id, awaits("lock-target")));
    await eve.send(await until(swap.id, awaits("claim-target")), { withSecret: true });
    await zoe.send(await until(swap.id, awaits("claim-source")));
    await reaches(swap.id, "completed");
  });

  it("finishes for two parties outside what the operator's policy takes", async () => {
    const [eve, zoe] = [createOutsider(test), createOutsider(test)];
    await Promise.all([eve.fund("alpha"), eve.fund("beta"), zoe.fund("beta")]);
    const swap = await request({
      source: { chain: "alpha", asset: native, amount: coin },
      target: { chain: "beta", asset: native, amount: coin },
      ...{ initiator: eve.party, hashlock: eve.hashlock, counterparty: zoe.party },
    });
    await eve.send(swap);
    await zoe.send(await until(swap.id, awaits("lock-target")));
    await eve.send(await until(swap.id, awaits("claim-target")), { withSecret: true });
    await reaches(swap.id, "completed");
    assert.equal(await zoe.balance("alpha"), BigInt(coin), "it could not have claimed itself");
  });

  it("refuses a hashlock that anybody's lock has shown on any chain", async () => {
    const [eve, zoe] = [createOutsider(test), createOutsider(test)];
    await zoe.fund("beta");
    const terms = {
      ...{ sender: zoe.address, recipient: eve.address, token: zeroAddress, amount: 1n, hashlock: eve.hashlock },
      ...{ timelock: BigInt(Math.floor(Date.now() / 1_000) + 3_600), tip: 0n },
    };
    const { timelock: to } = test.network.chains.beta!.deployment;
    const ready = { what: "lock", chain: "beta", chainId: test.network.chains.beta!.chainId, value: "1" };
    await zoe.sendOne({ ...ready, to, data: encodeLock(terms) });
    const id = lockId(ready.chainId, to, terms);
    await test.api.until<{ locks: { lockId: Hex }[] }>(
      "/v1/locks?chain=beta&state=open",
      ({ locks }) => locks.some((lock) => lock.lockId === id),
      timeoutMs,
    );
    assert.deepEqual(await refusal("/v1/swaps", tokensForCoin(eve, permitToken)), [422, "hashlock-used", "hashlock"]);
  });

  it("refunds both when the initiator never shows its secret, the source leg as soon as the target leg is back", async () => {
    const eve = createOutsider(test);
    await Promise.all([eve.fund("alpha"), mint(alpha, permitToken, eve.address, 500n)]);
    const swap = await request({ ...tokensForCoin(eve, permitToken), timelocks: { source: 600, target: 25 } });
    await eve.send(swap);
    const ended = await reaches(swap.id, "refunded");
    assert.equal(
      await alpha.read(permitToken, "function balanceOf(address) view returns (uint256)", [eve.address]),
      500n,
    );
    assert.ok(
      ended.timeline.some(({ what }) => what === "EarlyRefundAgreed"),
      "long before the source timelock",
    );
  });

  it("refunds the initiator at once when the counterparty signs that it wants out", async () => {
    const zoe = createOutsider(test);
    const swap = await request({
      source: { chain: "alpha", asset: native, amount: coin },
      target: { chain: "beta", asset: native, amount: coin },
      ...{ initiator: { account: "alice" }, counterparty: zoe.party },
    });
    const locked = await until(swap.id, awaits("lock-target"));
    const early = { leg: "source", kind: "early-refund", signature: await zoe.sign(locked, "early-refund") };
    const stranger = { ...early, signature: await createOutsider(test).sign(locked, "early-refund") };
    const path = `/v1/swaps/${swap.id}/signatures`;
    assert.deepEqual(await refusal(path, stranger), [422, "signature-invalid", "signature"]);
    await test.api.post(path, early);
    const ended = await until(swap.id, ({ source }) => source.state === "refunded");
    assert.ok(BigInt(ended.source.timelock) > BigInt(Math.floor(Date.now() / 1_000)) + 60n, "long before its time");
  });

  it("gives a lock back at once that came too late", async () => {
    const eve = createOutsider(test);
    await Promise.all([eve.fund("alpha"), mint(alpha, permitToken, eve.address, 500n)]);
    const swap = await request({ ...tokensForCoin(eve, permitToken), timelocks: { source: 600, target: 25 } });
    await reaches(swap.id, "failed");
    await eve.send(swap);
    await until(swap.id, ({ status }) => status === "refunded");
    assert.equal(
      await alpha.read(permitToken, "function balanceOf(address) view returns (uint256)", [eve.address]),
      500n,
    );
  });

  it("refuses what does not fit, and names the field", async () => {
    const eve = createOutsider(test);
    await mint(alpha, permitToken, eve.address, 500n);
    const body = tokensForCoin(eve, permitToken);
    const { hashlock: _, ...without } = body;
    const item = (tokenId: string, amount: string) => {
      return { ...body, target: { chain: "beta", asset: { type: "erc721", address: nft, tokenId }, amount } };
    };
    for (const [asked, status, code, field] of [
      [without, 400, "request-invalid", "hashlock"],
      [{ ...body, initiator: { account: "alice" } }, 400, "request-invalid", "hashlock"],
      [{ ...body, initiator: { source: "0x12", target: "0x34" } }, 400, "request-invalid", "initiator.source"],
      [{ ...body, initiator: { source: eve.address } }, 400, "request-invalid", "initiator"],
      [{ ...body, counterparty: eve.party }, 400, "request-invalid", "counterparty.source"],
      [item("1", "2"), 400, "request-invalid", "target.amount"],
      [item("999", "1"), 422, "token-invalid", "target.asset.address"],
      [
        { ...body, target: { ...body.target, asset: { type: "erc20", address: nft } } },
        422,
        "token-invalid",
        "target.asset.address",
      ],
    ] as const) {
      assert.deepEqual(await refusal("/v1/swaps", asked), [status, code, field]);
    }
  });

  it("takes nothing that is handed in before it was checked", async () => {
    const [eve, zoe] = [createOutsider(test), createOutsider(test)];
    await mint(alpha, permitToken, eve.address, 500n);
    const body = tokensForCoin(eve, permitToken);
    const swap = await request(body);
    assert.deepEqual(await refusal("/v1/swaps", body), [422, "hashlock-used", "hashlock"]);
    const signature = await eve.sign(swap, "lock");
    for (const [handed, status, code, field] of [
      [{ signature: await zoe.sign(swap, "lock") }, 422, "signature-invalid", "signature"],
      [{ signature, nonce: "1" }, 422, "signature-invalid", "signature"],
      [{ signature, kind: "permit2" }, 422, "signature-invalid", "signature"],
      [{ signature: "0x1234" }, 422, "signature-invalid", "signature"],
      [{ signature, deadline: "1" }, 400, "request-invalid", "deadline"],
      [{ signature }, 409, "allowance-missing", "signature"],
      [{ signature, leg: "target" }, 409, "swap-not-waiting", "leg"],
      [{ signature, leg: "target", kind: "early-refund" }, 409, "swap-not-ready", "leg"],
    ] as const) {
      const answer = await refusal(`/v1/swaps/${swap.id}/signatures`, { leg: "source", kind: "lock", ...handed });
      assert.deepEqual(answer, [status, code, field]);
    }
    const early = await refusal(`/v1/swaps/${swap.id}/claim`, { secret: eve.secret });
    assert.deepEqual(early, [409, "swap-not-claimable", undefined]);
    assert.equal((await test.api.get<ExternalSwap>(`/v1/swaps/${swap.id}`)).timeline.length, 1);
  });
});
