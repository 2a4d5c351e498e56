import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { numberToHex } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { anyLockSelectors } from "#swap/protocol/lockLogs.ts";
import { changing, delaying, dropping } from "#test/support/faults.ts";
import { requestJsonRpc } from "#test/support/localChain.ts";
import { openNetwork, type TestNetwork } from "#test/support/network.ts";
import { failing, type RpcProxy, type RpcRule, startRpcProxy } from "#test/support/rpcProxy.ts";
import { until as untilTrue } from "#test/support/until.ts";
import { assertOnce } from "./lockFacts.ts";
import { type AssetKind, assetKinds, type Market, openMarket } from "./market.ts";
import { createOutsider, type ExternalSwap, type Outsider } from "./outsider.ts";
import { holds, placesOf } from "./searching.ts";

const timeoutMs = 150_000;
const timelocks = { source: 1_200, target: 900 };
const chains = ["alpha", "beta"] as const;
type ChainName = (typeof chains)[number];
/** How often a chain mines by itself, in milliseconds; blocks become final by those on top of them. */
const mining = 100;

describe("a swap between chains behind faulty endpoints", () => {
  let test: TestNetwork;
  let market: Market;
  const proxies = new Map<string, RpcProxy>();
  before(async () => {
    const endpointOf = async (chain: string, url: string) => {
      const proxy = await startRpcProxy(url);
      proxies.set(chain, proxy);
      return proxy.url;
    };
    test = await openNetwork(undefined, { endpointOf, finalityBlocks: 4, lanes: [] });
    market = await openMarket(test);
    await Promise.all(chains.map(run));
  });
  after(async () => {
    await test?.close();
    for (const proxy of proxies.values()) await proxy.close();
  });

  const rpc = <T>(chain: string, method: string, params: readonly unknown[] = []) =>
    requestJsonRpc<T>(test.network.chains[chain]?.url ?? "", method, params);
  /** A block for every transaction, and one every now and then. */
  async function run(chain: string): Promise<void> {
    await rpc(chain, "evm_setAutomine", [true]);
    await rpc(chain, "evm_setIntervalMining", [mining]);
  }
  /** No blocks from here on; the answer goes to `reorganise`. */
  async function hold(chain: string): Promise<string> {
    await rpc(chain, "evm_setAutomine", [false]);
    await rpc(chain, "evm_setIntervalMining", [0]);
    return rpc<string>(chain, "evm_snapshot");
  }
  /** One block, as soon as there is so much to go into it. */
  async function mineWith(chain: string, transactions: number): Promise<void> {
    const count = async () => BigInt(await rpc<Hex>(chain, "eth_getBlockTransactionCountByNumber", ["pending"]));
    await untilTrue(async () => (await count()) >= transactions, "there is enough for a block", timeoutMs);
    await rpc(chain, "evm_mine");
  }
  const proxyOf = (chain: string): RpcProxy => proxies.get(chain) ?? assert.fail(chain);
  const addressOf = (account: string): Hex => test.network.accounts[account]?.address ?? "0x";
  const until = (id: string, done: (swap: ExternalSwap) => boolean) =>
    test.api.until<ExternalSwap>(`/v1/swaps/${id}`, done, timeoutMs);
  const completed = (swaps: readonly ExternalSwap[]) =>
    Promise.all(swaps.map(({ id }) => until(id, ({ status }) => status === "completed")));

  async function prepare(kinds: readonly [AssetKind, AssetKind], eve?: Outsider): Promise<object> {
    const source = await market.leg("alpha", kinds[0], eve?.address ?? addressOf("alice"));
    const target = await market.leg("beta", kinds[1], addressOf("bob"));
    const initiator = eve ? { initiator: eve.party, hashlock: eve.hashlock } : { initiator: { account: "alice" } };
    return { source, target, ...initiator, counterparty: { account: "bob" }, timelocks };
  }
  const post = (body: object) => test.api.post<ExternalSwap>("/v1/swaps", body);
  const postAll = (bodies: readonly object[]) => Promise.all(bodies.map(post));
  const request = async (...what: Parameters<typeof prepare>) => post(await prepare(...what));

  /** One swap for each kind of asset on either side. */
  async function prepareEach(): Promise<object[]> {
    const bodies: object[] = [];
    for (const [index, kind] of assetKinds.entries()) {
      bodies.push(await prepare([kind, assetKinds[(index + 1) % assetKinds.length] ?? "native"]));
    }
    return bodies;
  }

  /** Lasts for so many requests to the chain. */
  async function trouble(chain: ChainName, rule: RpcRule, requests: number): Promise<void> {
    const proxy = proxyOf(chain);
    const from = proxy.seen.length;
    proxy.use(rule);
    await untilTrue(() => proxy.seen.length >= from + requests, `${chain} is asked in its trouble`, timeoutMs);
    proxy.use();
  }

  const hiding = changing("eth_getLogs", (logs) =>
    (logs as { topics: Hex[] }[]).filter(({ topics: [selector] }) => !selector || !anyLockSelectors.has(selector)),
  );
  const otherHashes = changing("eth_getBlockByNumber", (block) => {
    const number = BigInt((block as { number: Hex }).number);
    // Another first block would be another chain, at which the service stops.
    return number === 0n ? block : { ...(block as object), hash: numberToHex(number + 7n ** 70n, { size: 32 }) };
  });
  const cases: [string, RpcRule, RpcRule, number][] = [
    ["die", failing("die"), failing("die"), 10],
    ["hang, or answer late", failing("hang"), delaying(400), 4],
    ["hide every lock and every end of one", hiding, hiding, 60],
    ["show other block hashes, or break every third connection", otherHashes, dropping(3), 40],
  ];
  for (const [how, onAlpha, onBeta, requests] of cases) {
    it(`completes once where endpoints ${how}`, async () => {
      const swaps = await postAll(await prepareEach());
      await Promise.all([trouble("alpha", onAlpha, requests), trouble("beta", onBeta, requests)]);
      await assertOnce(test.network, await completed(swaps));
    });
  }

  it("keeps a secret that was handed in as long as the last check cannot be made", async () => {
    const eve = createOutsider(test);
    await eve.fund("alpha");
    const swap = await request(["native", "erc721"], eve);
    await eve.send(swap);
    await until(swap.id, ({ next }) => next?.action === "claim-target");
    const beta = proxyOf("beta");
    const asked = beta.seen.length;
    beta.use(failing("die", "eth_call"));
    const path = `/v1/swaps/${swap.id}`;
    await test.api.post(`${path}/claim`, { secret: eve.secret });
    const calls = () => beta.seen.slice(asked).filter(({ method }) => method === "eth_call").length;
    await untilTrue(() => calls() >= 6, "the last check is tried again and again", timeoutMs);
    assert.deepEqual(await placesOf(eve.secret, test, [path, "/v1/swaps", "/metrics"]), []);
    for (const { seen } of proxies.values()) assert.ok(!holds(JSON.stringify(seen), eve.secret), "no endpoint has it");
    beta.use();
    await assertOnce(test.network, await completed([swap]));
  });

  /** Takes back what happened on a chain since the snapshot; what follows has other hashes. */
  async function reorganise(chain: ChainName, snapshot: string): Promise<void> {
    assert.equal(await rpc(chain, "evm_revert", [snapshot]), true);
    await rpc(chain, "hardhat_setPrevRandao", [numberToHex(BigInt(snapshot) + 10n ** 20n, { size: 32 })]);
    // A chain that went back adds the time since the snapshot to its clock.
    await rpc(chain, "evm_setNextBlockTimestamp", [Math.floor(Date.now() / 1000)]);
    await rpc(chain, "evm_mine");
    await run(chain);
  }

  it("completes once after locks of both legs were reorganised out; one that does not come back costs nobody", async () => {
    const eve = createOutsider(test);
    await eve.fund("alpha");
    const fickle = await request(["native", "native"], eve);
    // What has to be approved is approved, so that nothing but locks is taken back.
    await completed(await postAll(await prepareEach()));
    const bodies = [...(await prepareEach()), ...(await prepareEach())];
    const snapshot = await hold("alpha");
    const swaps = await postAll(bodies);
    const locking = eve.send(fickle);
    await mineWith("alpha", swaps.length + 1);
    await locking;
    await Promise.all([fickle, ...swaps].map(({ id }) => until(id, ({ source }) => source.state === "detected")));
    const other = await hold("beta");
    await reorganise("alpha", snapshot);
    const counterLocked = ({ timeline }: ExternalSwap) =>
      timeline.some(({ detail }) => detail === "lock-target, attempt 1");
    await Promise.all(swaps.map(({ id }) => until(id, counterLocked)));
    await mineWith("beta", 1);
    await untilTrue(async () => {
      const seen = await Promise.all(swaps.map(({ id }) => until(id, () => true)));
      return seen.some(({ target }) => target.state === "detected");
    }, "a counter-lock is seen");
    await reorganise("beta", other);
    const ended = await completed(swaps);
    await assertOnce(test.network, ended);
    for (const leg of ["source", "target"]) assert.ok(ended.some(lost(leg)), `a lock of the ${leg} leg was taken back`);
    const { source, target } = await until(fickle.id, () => true);
    assert.deepEqual([source.state, target.state], ["none", "none"]);
  });

  it("completes once after an initiator outside took back the claims that showed its secrets", async () => {
    const people = assetKinds.map((kind) => ({ kind, eve: createOutsider(test) }));
    const swaps: ExternalSwap[] = [];
    for (const { kind, eve } of people) {
      for (const chain of chains) await eve.fund(chain);
      swaps.push(await request(["native", kind], eve));
      await eve.send(swaps.at(-1) ?? assert.fail());
    }
    const locked = await Promise.all(swaps.map(({ id }) => until(id, ({ next }) => next?.action === "claim-target")));
    const snapshot = await hold("beta");
    const claiming = people.map(({ eve }, index) => eve.send(locked[index] ?? assert.fail(), { withSecret: true }));
    let mined = false;
    const all = Promise.all(claiming).finally(() => {
      mined = true;
    });
    await mineWith("beta", people.length);
    // Of what waited then, something may have been the service's.
    await untilTrue(
      async () => {
        if (!mined) await mineWith("beta", 0);
        return mined;
      },
      "the claims are in blocks",
      timeoutMs,
    );
    await all;
    await Promise.all(swaps.map(({ id }) => until(id, ({ source }) => source.state === "claimed")));
    await reorganise("beta", snapshot);
    // Their nonces are used by something else, so that their claims cannot come back.
    for (const { eve } of people) {
      const { chainId } = test.network.chains.beta ?? assert.fail();
      await eve.sendOne({ what: "spend", chain: "beta", chainId, to: eve.address, data: "0x", value: "1" });
    }
    const ended = await completed(swaps);
    await assertOnce(test.network, ended);
    assert.ok(ended.every(lost("target")));
  });
});

/** Whether a reorganisation took back something of the leg. */
const lost =
  (leg: string) =>
  ({ timeline }: ExternalSwap): boolean =>
    timeline.some((entry) => entry.what === "LegReorged" && entry.leg === leg);
