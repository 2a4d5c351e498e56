import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import type { MessageAnswer } from "#app/demo/api.ts";
import { openNetwork, type TestNetwork } from "#test/support/network.ts";
import { type RpcProxy, startRpcProxy } from "#test/support/rpcProxy.ts";
import { until } from "#test/support/until.ts";
import { chainFacts } from "./chainFacts.ts";
import { messageRequest, type SwapAnswer } from "./requests.ts";
import { openThirdChain, sendPast, type ThirdChain, teachValidators } from "./thirdChain.ts";

type Message = MessageAnswer & { reason: { code: string } };
type Problem = { status: number; code: string; field?: string; detail: string; details?: Record<string, unknown> };
type ChainAnswer = { name: string; source: string; state: string; revision: string; endpoints: { endpoint: string }[] };
const hostsOf = (chain: ChainAnswer | undefined) => chain?.endpoints.map(({ endpoint }) => endpoint);
type LaneAnswer = { lane: string; source: string; state: string; revision: string; reason?: { code: string } };

const timeoutMs = 60_000;
const key = "an-endpoint-key";

describe("chains and lanes of a service that runs", () => {
  let test: TestNetwork;
  let gamma: ThirdChain;
  let proxy: RpcProxy;
  /** Messages from alpha to beta that somebody sends all the time. */
  const traffic: string[] = [];
  let sending: Promise<void>;
  let ended = false;

  before(async () => {
    test = await openNetwork();
    gamma = await openThirdChain(test.network);
    proxy = await startRpcProxy(test.network.chains.alpha!.url);
    sending = keepSending();
  });
  after(async () => {
    ended = true;
    await sending?.catch(() => undefined);
    await test?.close();
    await proxy?.close();
    await gamma?.local.close();
  });

  async function keepSending(): Promise<void> {
    while (!ended) {
      const { body } = await call<Message>("POST", "/v1/messages", messageRequest(test.network));
      traffic.push(body.id);
      await until(
        async () => (await call<Message>("GET", `/v1/messages/${body.id}`)).body.status === "delivered",
        "traffic",
        timeoutMs,
      );
    }
  }

  async function call<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    const response = await fetch(`${test.network.api}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${test.network.token()}`,
        ...(body !== undefined && { "content-type": "application/json" }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    assert.ok(!text.includes(key), "an answer shows the key of an endpoint");
    return { status: response.status, body: JSON.parse(text) as T };
  }

  async function done<T = unknown>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await call<T>(method, path, body);
    assert.ok(answer.status < 300, `${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  async function refused(method: string, path: string, body?: unknown): Promise<{ code: string; field?: string }> {
    const { status, body: problem } = await call<Problem>(method, path, body);
    assert.ok(status >= 400 && status < 500, `${status} ${JSON.stringify(problem)}`);
    return { code: problem.code, ...(problem.field !== undefined && { field: problem.field }) };
  }

  const request = (origin: string, destination: string) => ({
    ...{ origin, destination, payload: "0x68656c6c6f" },
    recipient:
      destination === "gamma" ? gamma.deployment.recorder : messageRequest(test.network, origin, destination).recipient,
  });
  const send = async (origin: string, destination: string) =>
    (await done<Message>("POST", "/v1/messages", request(origin, destination))).id;
  const reaches = (id: string, is: (message: Message) => boolean) =>
    until(
      async () => {
        const message = await done<Message>("GET", `/v1/messages/${id}`);
        return is(message) && message;
      },
      `message ${id}`,
      timeoutMs,
    );
  const delivered = (id: string) => reaches(id, ({ status }) => status === "delivered");
  const chains = async () => (await done<{ chains: ChainAnswer[] }>("GET", "/v1/chains")).chains;
  const lanes = async () => (await done<{ lanes: LaneAnswer[] }>("GET", "/v1/lanes")).lanes;
  /** With an endpoint that asks for a key, as a provider's does. */
  const added = () => ({ ...gamma.settings, name: "gamma", endpoints: [`${gamma.url}/?key=${key}`] });

  it("are not changed by what is wrong", async () => {
    const { chains: known } = test.network;
    const nobody = `0x${"12".repeat(20)}`;
    const cases: [string, string, unknown, string, string?][] = [
      ["POST", "/v1/chains", { ...added(), chainId: undefined }, "request-invalid", "chainId"],
      ["POST", "/v1/chains", { ...added(), endpoints: ["gamma"] }, "request-invalid", "endpoints.0"],
      ["POST", "/v1/chains", { ...added(), name: "Gamma" }, "request-invalid", "name"],
      ["POST", "/v1/chains", { ...added(), colour: "red" }, "request-invalid", "colour"],
      ["POST", "/v1/chains", { ...added(), chainId: 5 }, "endpoint-refused", "endpoints.0"],
      [
        "POST",
        "/v1/chains",
        { ...added(), endpoints: [gamma.url, known.beta?.url] },
        "endpoint-refused",
        "endpoints.1",
      ],
      ["POST", "/v1/chains", { ...added(), gateway: nobody }, "contract-mismatch", "gateway"],
      ["POST", "/v1/chains", { ...added(), gateway: gamma.deployment.token }, "contract-mismatch", "gateway"],
      ["POST", "/v1/chains", { ...added(), timelock: gamma.deployment.gateway }, "contract-mismatch", "timelock"],
      ["POST", "/v1/chains", { ...added(), name: "alpha" }, "chain-exists", "name"],
      ["POST", "/v1/chains", { ...added(), chainId: known.beta?.chainId }, "chain-exists", "chainId"],
      ["PATCH", "/v1/chains/alpha", { gateway: nobody }, "setting-fixed", "gateway"],
      ["PATCH", "/v1/chains/alpha", { chainId: 7 }, "setting-fixed", "chainId"],
      ["PATCH", "/v1/chains/alpha", { startBlock: null }, "setting-fixed", "startBlock"],
      ["PATCH", "/v1/chains/alpha", { pollMs: 0 }, "request-invalid", "pollMs"],
      ["PATCH", "/v1/chains/alpha", { endpoints: [] }, "request-invalid", "endpoints"],
      ["PATCH", "/v1/chains/alpha", { endpoints: [known.beta?.url] }, "endpoint-refused", "endpoints.0"],
      ["PATCH", "/v1/chains/gamma", { pollMs: 10 }, "not-found", "name"],
      ["POST", "/v1/chains/gamma/pause", undefined, "not-found", "name"],
      ["POST", "/v1/chains/gamma/restore", undefined, "not-found", "name"],
      ["DELETE", "/v1/chains/gamma", undefined, "not-found", "name"],
      ["DELETE", "/v1/chains/alpha?force=yes", undefined, "request-invalid", "force"],
      ["POST", "/v1/lanes", { origin: "alpha", destination: "gamma" }, "chain-unknown", "destination"],
      ["POST", "/v1/lanes", { origin: "alpha", destination: "beta" }, "lane-exists"],
      ["POST", "/v1/lanes", { origin: "alpha", destination: "alpha" }, "request-invalid", "destination"],
      ["POST", "/v1/lanes/alpha/gamma/pause", undefined, "not-found"],
      ["DELETE", "/v1/lanes/alpha/gamma", undefined, "not-found"],
    ];
    for (const [method, path, body, code, field] of cases) {
      const expected = { code, ...(field !== undefined && { field }) };
      assert.deepEqual(await refused(method, path, body), expected, `${method} ${path} ${JSON.stringify(body)}`);
    }
    const unreachable = await call<Problem>("PATCH", "/v1/chains/alpha", { endpoints: [`http://127.0.0.1:1/${key}`] });
    assert.deepEqual([unreachable.body.code, unreachable.body.field], ["chain-unreachable", "endpoints.0"]);
    assert.ok([...(await chains()), ...(await lanes())].every(({ revision }) => revision === "0"));
  });

  it("can be added: messages flow to and from a new chain, also one that was sent before", async () => {
    await teachValidators(test.network, "gamma", gamma.settings);
    await sendPast(test.network, test.network.chains.alpha!, gamma);
    const chain = await done<ChainAnswer>("POST", "/v1/chains", added());
    assert.deepEqual([chain.source, chain.state], ["api", "active"]);
    assert.deepEqual(hostsOf(chain), [new URL(gamma.url).host]);
    await until(async () => (await gamma.recorded()) === 1n, "the message that was there", timeoutMs);
    const sent = [
      ["alpha", "gamma"],
      ["gamma", "beta"],
      ["gamma", "alpha"],
      ["alpha", "gamma"],
    ] as const;
    for (const id of await Promise.all(sent.map(([origin, destination]) => send(origin, destination))))
      await delivered(id);
    assert.equal(await gamma.recorded(), 3n);
  });

  it("carry swaps to a chain that was added", async () => {
    const coin = (chain: string) => ({ chain, asset: { type: "native" }, amount: "1000" });
    const parties = { initiator: { account: "alice" }, counterparty: { account: "bob" } };
    // Long enough for a machine that is busy with other things.
    const timelocks = { source: 1_200, target: 600 };
    const { id } = await done<SwapAnswer>("POST", "/v1/swaps", {
      source: coin("alpha"),
      target: coin("gamma"),
      ...parties,
      timelocks,
    });
    await test.api.until<SwapAnswer>(`/v1/swaps/${id}`, ({ status }) => status === "completed", timeoutMs);
  });

  it("have their endpoints changed while messages flow", async () => {
    const before = traffic.length;
    await done("PATCH", "/v1/chains/alpha", { endpoints: [proxy.url], pollMs: 20 });
    await until(async () => traffic.length > before + 3, "traffic", timeoutMs);
    assert.ok(proxy.seen.some(({ method }) => method === "eth_getLogs" || method === "eth_getBlockByNumber"));
    assert.ok(proxy.seen.some(({ method }) => method === "eth_sendRawTransaction"));
    const [alpha] = await chains();
    assert.deepEqual([alpha?.source, hostsOf(alpha)], ["file", [new URL(proxy.url).host]]);
    await done("PATCH", "/v1/chains/alpha", { endpoints: null });
    assert.deepEqual(hostsOf((await chains())[0]), [new URL(test.network.chains.alpha!.url).host]);
  });

  it("hold messages of a paused lane, and let them go", async () => {
    const recorded = await gamma.recorded();
    await done("POST", "/v1/lanes/alpha/gamma/pause");
    const id = await send("alpha", "gamma");
    await reaches(id, ({ reason }) => reason.code === "lane-paused");
    const lane = (await lanes()).find((each) => each.lane === "alpha→gamma");
    assert.deepEqual([lane?.state, lane?.reason?.code], ["paused", "lane-paused"]);
    await delivered(await send("alpha", "beta"));
    assert.equal(await gamma.recorded(), recorded);
    assert.deepEqual(await refused("DELETE", "/v1/lanes/alpha/gamma"), { code: "lane-in-use" });
    const inUse = await call<Problem>("DELETE", "/v1/chains/gamma");
    assert.deepEqual([inUse.body.code, inUse.body.details?.messages], ["chain-in-use", 1]);
    await done("POST", "/v1/lanes/alpha/gamma/resume");
    await delivered(id);
    assert.equal(await gamma.recorded(), recorded + 1n);
  });

  it("take nothing new on for a paused chain, and hold what comes for it", async () => {
    await done("POST", "/v1/chains/gamma/pause");
    assert.deepEqual(await refused("POST", "/v1/messages", request("alpha", "gamma")), {
      code: "chain-paused",
      field: "destination",
    });
    assert.deepEqual(await refused("POST", "/v1/messages", request("gamma", "beta")), {
      code: "chain-paused",
      field: "origin",
    });
    const recorded = await gamma.recorded();
    await sendPast(test.network, test.network.chains.alpha!, gamma);
    const waiting = () => done<{ messages: Message[] }>("GET", "/v1/messages?origin=alpha&destination=gamma&limit=1");
    await until(async () => (await waiting()).messages[0]?.reason.code === "chain-paused", "a held message", timeoutMs);
    assert.equal(await gamma.recorded(), recorded);
    await done("POST", "/v1/chains/gamma/resume");
    await until(async () => (await gamma.recorded()) === recorded + 1n, "the held message", timeoutMs);
  });

  it("can be removed once nothing needs them, and come back with what happened meanwhile", async () => {
    const [swap] = (await done<{ swaps: SwapAnswer[] }>("GET", "/v1/swaps")).swaps;
    const removed = () => call<ChainAnswer & Problem>("DELETE", "/v1/chains/gamma");
    const answer = await until(
      async () => {
        const { status, body } = await removed();
        return (status === 200 || body.code !== "chain-in-use") && body;
      },
      "gamma is removed",
      timeoutMs,
    );
    assert.equal(answer.state, "removed");
    assert.deepEqual(
      (await chains()).map(({ name }) => name),
      ["alpha", "beta"],
    );
    assert.ok((await lanes()).every(({ lane }) => !lane.includes("gamma")));
    assert.deepEqual(await refused("POST", "/v1/messages", request("alpha", "gamma")), {
      code: "chain-unknown",
      field: "destination",
    });
    assert.equal((await done<SwapAnswer>("GET", `/v1/swaps/${swap?.id}`)).status, "completed");

    const recorded = await gamma.recorded();
    await sendPast(test.network, test.network.chains.alpha!, gamma);
    await delivered(await send("alpha", "beta"));
    assert.deepEqual(await refused("POST", "/v1/chains", { ...added(), gateway: gamma.deployment.token }), {
      code: "setting-fixed",
      field: "gateway",
    });
    await done("POST", "/v1/chains", added());
    await until(async () => (await gamma.recorded()) === recorded + 1n, "the message sent meanwhile", timeoutMs);
    await delivered(await send("alpha", "gamma"));
    assert.equal(await gamma.recorded(), recorded + 2n);
  });

  it("have lost no message, doubled none, and needed no restart", async () => {
    ended = true;
    await sending;
    const all = await chainFacts(test.network, "beta").recorded();
    const toBeta: Message[] = [];
    for (let cursor: string | undefined = ""; cursor !== undefined; ) {
      const path: string = `/v1/messages?destination=beta&limit=100${cursor && `&cursor=${cursor}`}`;
      const page = await done<{ messages: Message[]; next?: string }>("GET", path);
      toBeta.push(...page.messages);
      cursor = page.next;
    }
    assert.ok(toBeta.every(({ status }) => status === "delivered"));
    assert.equal(all, BigInt(toBeta.length), "each message to beta was executed once");
    const log = readFileSync(test.network.layout.log("service"), "utf8");
    assert.equal(log.match(/"msg":"started"/g)?.length, 1);
    assert.ok(!log.includes(key), "the log shows the key of an endpoint");
  });

  it("are as they were after a restart", async () => {
    await done("POST", "/v1/lanes/beta/gamma/pause");
    const shown = async () => ({
      chains: (await chains()).map((chain) => [chain.name, chain.source, chain.state, chain.revision, hostsOf(chain)]),
      lanes: (await lanes()).map(({ lane, source, state, revision }) => ({ lane, source, state, revision })),
    });
    const before = await shown();
    await test.network.service.stop();
    await test.network.service.start();
    assert.deepEqual(await shown(), before);
    await delivered(await send("alpha", "gamma"));
  });
});
