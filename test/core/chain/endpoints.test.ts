import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { numberToHex } from "viem";
import type { ChainAccess } from "#core/chain/chain.ts";
import { createChain } from "#core/chain/createChain.ts";
import type { EndpointEvent } from "#core/chain/endpoint.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { quietLog } from "../../support/databases.ts";
import { behind, delaying, dropping, lyingAboutId, rubbish, stale } from "../../support/faults.ts";
import { type LocalChain, startLocalChain } from "../../support/localChain.ts";
import { failing, type RpcProxy, type RpcRule, startRpcProxy } from "../../support/rpcProxy.ts";
import { until } from "../../support/until.ts";

const chainId = 991_005;

describe("a chain with several endpoints", () => {
  let local: LocalChain;
  let one: RpcProxy;
  let two: RpcProxy;
  let three: RpcProxy;
  before(async () => {
    local = await startLocalChain(chainId);
    [one, two, three] = await Promise.all([
      startRpcProxy(local.url),
      startRpcProxy(local.url),
      startRpcProxy(local.url),
    ]);
    await local.mine(20);
  });
  after(async () => {
    await Promise.all([one, two, three].map((proxy) => proxy?.close()));
    await local?.close();
  });
  afterEach(() => {
    for (const proxy of [one, two, three]) proxy.use();
  });

  const open = (
    proxies: readonly RpcProxy[],
    options: { maxLag?: number; events?: EndpointEvent[]; timeoutMs?: number; retries?: number } = {},
  ) =>
    createChain(
      {
        ...{ name: "alpha", chainId, finality: { blocks: 0 } },
        endpoints: proxies.map(({ url }) => ({ url })),
        ...(options.maxLag !== undefined && { maxLag: options.maxLag }),
      },
      {
        ...{ log: quietLog, clock: systemClock, timeoutMs: 2_000, ...options, probeMs: 20 },
        onEndpointEvent: (event) => options.events?.push(event),
      },
    );
  const hostOf = (proxy: RpcProxy) => new URL(proxy.url).host;
  const statusOf = (chain: ChainAccess, proxy: RpcProxy) =>
    chain.endpoints().find(({ endpoint }) => endpoint === hostOf(proxy));
  /** Reads the head until the endpoint is so; every read has to succeed, and to be of the true head. */
  async function readsUntil(chain: ChainAccess, proxy: RpcProxy, ...states: string[]) {
    const height = await local.height();
    return until(
      async () => {
        assert.equal((await chain.block("latest"))?.number, height);
        const status = statusOf(chain, proxy);
        return states.includes(status?.state ?? "") && status;
      },
      `the endpoint is ${states.join(" or ")}`,
      8_000,
    );
  }

  const hangingButForProbes: RpcRule = ({ method }) =>
    ["eth_chainId", "eth_blockNumber"].includes(method) ? undefined : Promise.resolve("hang");
  const faults: [string, RpcRule, string[], string][] = [
    ["hangs", failing("hang"), ["failing", "open"], "timeout"],
    ["answers probes and hangs on everything else", hangingButForProbes, ["open"], "timeout"],
    ["breaks connections", failing("die"), ["failing", "open"], "connection"],
    ["answers rubbish", rubbish, ["failing", "open"], "answer-invalid"],
    ["refuses everything", () => Promise.resolve({ error: { code: -32000, message: "no" } }), ["failing"], "refused"],
    ["serves another chain", lyingAboutId(5), ["excluded"], "wrong-chain"],
  ];
  it("takes back an endpoint that is well, but never answers the one question that it owes", async () => {
    const hangingOnLogs: RpcRule = ({ method }) => (method === "eth_getLogs" ? Promise.resolve("hang") : undefined);
    one.use(hangingOnLogs);
    two.use(hangingOnLogs);
    const chain = open([one, two], { timeoutMs: 600, retries: 1 });
    await chain.block("latest");
    const tooMuch = chain.logs({ fromBlock: 0n, toBlock: 20n, addresses: [numberToHex(1, { size: 20 })] });
    await assert.rejects(tooMuch, (error) => isLockstepError(error, "chain-unreachable"));
    /** Whichever is not asked anything that it could answer. */
    const idle = await until(async () => {
      await chain.block("latest");
      return [one, two].find((proxy) => statusOf(chain, proxy)?.state === "open");
    }, "one of them is left alone");
    await readsUntil(chain, idle, "healthy");
    for (const proxy of [one, two]) assert.equal(statusOf(chain, proxy)?.state, "healthy");
  });

  for (const [how, rule, states, reason] of faults) {
    it(`goes on when the first endpoint ${how}, names it, and takes it back when it is well`, async () => {
      one.use(rule);
      const chain = open([one, two], how.includes("hangs") ? { timeoutMs: 200 } : {});
      const bad = await readsUntil(chain, one, ...states);
      assert.equal(bad.reason ?? "", reason);
      assert.equal(statusOf(chain, two)?.state, "healthy");
      one.use();
      const again = await readsUntil(chain, one, "healthy");
      assert.equal(again.reason, undefined);
    });
  }

  for (const [how, rule] of [
    ["is too far behind", behind(8)],
    ["has stood still", stale(9n)],
  ] as const) {
    it(`ranks an endpoint out that ${how} though it answers, and back in when it has caught up`, async () => {
      const chain = open([one, two], { maxLag: 5 });
      one.use(rule);
      await until(async () => {
        await chain.block("latest");
        return statusOf(chain, one)?.state === "lagging";
      }, "it lags");
      assert.equal(statusOf(chain, one)?.reason, "head-behind");
      await readsUntil(chain, one, "lagging");
      one.use();
      await readsUntil(chain, one, "healthy");
    });
  }

  it("keeps to an endpoint that is behind by no more than it may", async () => {
    const chain = open([one, two], { maxLag: 8 });
    one.use(behind(8));
    await chain.block("latest");
    await until(() => chain.endpoints().every(({ head }) => head !== undefined), "both were looked at");
    assert.deepEqual(
      chain.endpoints().map(({ state }) => state),
      ["healthy", "healthy"],
    );
  });

  it("excludes an endpoint that is another chain from one moment to the next", async () => {
    const chain = open([one, two]);
    await readsUntil(chain, one, "healthy");
    one.use(lyingAboutId(5));
    await readsUntil(chain, one, "excluded");
    const before = one.seen.length;
    for (let i = 0; i < 5; i++) await chain.block("latest");
    const asked = one.seen.slice(before).map(({ method }) => method);
    assert.deepEqual(
      asked.filter((method) => !["eth_chainId", "eth_blockNumber"].includes(method)),
      [],
    );
  });

  it("prefers the faster endpoint once it knows", async () => {
    one.use(delaying(60));
    const chain = open([one, two]);
    await readsUntil(chain, two, "healthy");
    await until(() => chain.endpoints().every(({ latencyMs }) => latencyMs !== undefined), "both were measured");
    const before = two.seen.length;
    for (let i = 0; i < 5; i++) await chain.block(3n);
    assert.equal(two.seen.slice(before).filter(({ params }) => params[0] === "0x3").length, 5);
  });

  it("reads on while connections break now and then at every endpoint", async () => {
    one.use(dropping(7));
    two.use(dropping(9));
    three.use(dropping(11));
    const chain = open([one, two, three], { retries: 6 });
    for (let i = 0; i < 25; i++) assert.equal((await chain.block(5n))?.number, 5n);
  });

  it("leaves an endpoint alone after failures in a row, tries it with one request, and then uses it again", async () => {
    const events: EndpointEvent[] = [];
    const chain = open([one], { events });
    one.use(failing("die"));
    await until(async () => {
      await chain.block("latest").catch(() => undefined);
      return statusOf(chain, one)?.state === "open";
    }, "the circuit opens");
    assert.equal(statusOf(chain, one)?.usable, false);
    const asked = one.seen.length;
    await assert.rejects(chain.block("latest"), (error) => isLockstepError(error, "chain-unreachable"));
    assert.ok(events.some((event) => event.kind === "request" && event.outcome === "circuit-open"));
    assert.ok(one.seen.length <= asked + 2, "an open circuit asks nothing but its own probe");

    // Many ask at once when it may be tried again: the first request decides for all.
    one.use(delaying(30));
    const posts = one.load.posts;
    await until(() => Promise.all([1, 2, 3, 4].map(() => chain.block("latest"))).catch(() => false), "it closes");
    assert.ok(one.load.posts - posts <= 8, `${one.load.posts - posts} HTTP requests`);
    assert.equal(statusOf(chain, one)?.state, "healthy");
  });

  it("asks another endpoint when one refuses, and says what was refused when all do", async () => {
    const refusing: RpcRule = ({ method }) =>
      method === "eth_getBlockByNumber"
        ? Promise.resolve({ error: { code: -32000, message: "missing trie node" } })
        : undefined;
    one.use(refusing);
    const chain = open([one, two]);
    assert.equal((await chain.block(4n))?.number, 4n);
    two.use(refusing);
    await assert.rejects(chain.block(4n), (error) => isLockstepError(error, "chain-request-refused"));
  });

  it("shows hosts and nothing else of a URL, in status, events and errors", async () => {
    const events: EndpointEvent[] = [];
    const key = "0f1e2d3c4b5a";
    one.use(failing("die"));
    const chain = createChain(
      {
        ...{ name: "alpha", chainId, finality: { blocks: 0 } },
        endpoints: [`${one.url}/v3/${key}`, `${one.url}/v3/${key}?token=${key}`],
      },
      { log: quietLog, clock: systemClock, timeoutMs: 100, onEndpointEvent: (event) => events.push(event) },
    );
    const error = await chain.block("latest").catch((caught: unknown) => caught);
    assert.ok(isLockstepError(error, "chain-unreachable"));
    const shown = `${error.stack} ${JSON.stringify([error.details, chain.endpoints(), events])} ${error.cause}`;
    assert.equal(shown.includes(key), false);
    assert.deepEqual(
      chain.endpoints().map(({ endpoint }) => endpoint),
      [hostOf(one), `${hostOf(one)}#2`],
    );
  });
});
