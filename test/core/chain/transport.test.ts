import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { createTransport, TransportFailure, type TransportOptions } from "#core/chain/transport.ts";
import { type JsonServer, startJsonServer } from "../../support/jsonServer.ts";
import { until } from "../../support/until.ts";

type Wire = { id: number; method: string; params: unknown[] };
const reply = ({ id, method, params }: Wire) => ({ jsonrpc: "2.0", id, result: [method, ...params] });
const replyToAll = (body: unknown) => (Array.isArray(body) ? (body as Wire[]).map(reply) : reply(body as Wire));

describe("JSON-RPC over kept connections", () => {
  let server: JsonServer;
  before(async () => {
    server = await startJsonServer();
  });
  after(() => server?.close());
  afterEach(() => server.bodies.splice(0));

  const open = (options: Partial<TransportOptions> = {}) =>
    createTransport({
      ...{ url: server.url, timeoutMs: 2_000, maxConcurrent: 4, maxBatch: 3, onExchange: () => undefined },
      ...options,
    });
  const failsFor = (reason: string) => (error: unknown) => error instanceof TransportFailure && error.reason === reason;

  it("lets requests of one turn travel together, equal ones once, and gives each its own answer", async () => {
    server.respond = (body) => ({
      json: Array.isArray(body) ? (body as Wire[]).map(reply).reverse() : reply(body as Wire),
    });
    const transport = open();
    const answers = await Promise.all(
      ["a", "b", "a", "c", "d"].map((method) => transport.request(method, [1]).then(({ result }) => result)),
    );
    assert.deepEqual(answers, [
      ["a", 1],
      ["b", 1],
      ["a", 1],
      ["c", 1],
      ["d", 1],
    ]);
    assert.deepEqual(
      server.bodies.map((body) => (Array.isArray(body) ? body.length : 1)),
      [3, 1],
    );
    // What is asked later may have another answer.
    await transport.request("a", [1]);
    assert.equal(server.bodies.length, 3);
  });

  it("asks no name that leads to link-local addresses, whatever else it leads to", async () => {
    server.respond = (body) => ({ json: replyToAll(body) });
    const { port } = new URL(server.url);
    const good = { address: "127.0.0.1", family: 4 };
    const metadata = [
      { address: "169.254.169.254", family: 4 },
      { address: "fe80::1", family: 6 },
      { address: "fd00:ec2::254", family: 6 },
    ];
    const ask = (found: readonly { address: string; family: number }[]) =>
      open({ url: `http://node.example:${port}`, lookup: async () => found }).request("a", []);
    for (const bad of metadata) await assert.rejects(ask([good, bad]), failsFor("address-refused"));
    assert.deepEqual(await ask([good]).then(({ result }) => result), ["a"]);
    assert.equal(server.bodies.length, 1);
  });

  it("has no more requests under way than allowed, and sends what waited together", async () => {
    const held: (() => void)[] = [];
    server.respond = (body) => new Promise((resolve) => held.push(() => resolve({ json: replyToAll(body) })));
    const transport = open({ maxConcurrent: 2, maxBatch: 50 });
    const answers: Promise<unknown>[] = [];
    for (let n = 0; n < 8; n++) {
      answers.push(transport.request("m", [n]));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await until(() => held.length === 2, "two are under way");
    // A transaction does not wait for its turn.
    const sent = transport.requestNow("send", []);
    await until(() => held.length === 3, "it is under way at once");
    held.shift()?.();
    await until(() => held.length === 3, "the others follow");
    assert.equal((server.bodies[3] as unknown[]).length, 6);
    for (const release of held) release();
    await Promise.all([...answers, sent]);
    assert.equal(server.bodies.length, 4);
  });

  it("asks one by one where batches are not understood", async () => {
    server.respond = (body) => ({
      json: Array.isArray(body)
        ? { jsonrpc: "2.0", id: null, error: { code: -32600, message: "no" } }
        : replyToAll(body),
    });
    const transport = open({ maxConcurrent: 1 });
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(["a", "b"].map((method) => transport.request(method, [])));
      assert.deepEqual(
        answers.map(({ result }) => result),
        [["a"], ["b"]],
      );
    }
    assert.equal(server.bodies.filter(Array.isArray).length, 1);
  });

  it("tries a batch again some time after one was refused, since that may have been for the moment", async () => {
    let refuses = true;
    server.respond = (body) => ({
      json:
        Array.isArray(body) && refuses
          ? { jsonrpc: "2.0", id: null, error: { code: -32005, message: "too many requests" } }
          : replyToAll(body),
    });
    const transport = open({ maxConcurrent: 1 });
    const ask = (count: number) =>
      Promise.all(Array.from({ length: count }, (_, index) => transport.request(`m${index}`, [])));
    await ask(2);
    refuses = false;
    await ask(198);
    assert.equal(server.bodies.filter(Array.isArray).length, 1);
    await ask(2);
    assert.equal(server.bodies.filter(Array.isArray).length, 2);
  });

  it("says in one word why there is no answer, whatever was sent", async () => {
    const secret = "c0ffee".repeat(20);
    const cases: [string, Awaited<ReturnType<JsonServer["respond"]>>][] = [
      ["throttled", { status: 429, text: "slow down" }],
      ["http-503", { status: 503, text: "<html>" }],
      ["not-json", { text: "<html>" }],
      ["answer-missing", { json: [] }],
      ["connection", "die"],
      ["timeout", "hang"],
    ];
    for (const [reason, response] of cases) {
      server.respond = () => response;
      const transport = open({ timeoutMs: 150 });
      const failure = await Promise.all([transport.request("a", [secret]), transport.request("b", [secret])]).catch(
        (error: unknown) => error,
      );
      assert.ok(failsFor(reason)(failure), `${reason}: ${failure}`);
      const { stack, cause } = failure as Error;
      assert.equal(`${stack} ${cause} ${JSON.stringify(failure)}`.includes("c0ffee"), false);
    }
  });

  it("does not take a kept connection that was just closed for a failure", async () => {
    server.respond = (body) => ({ json: replyToAll(body) });
    const transport = open();
    await transport.request("a", []);
    server.respond = () => {
      server.respond = (again) => ({ json: replyToAll(again) });
      return "die";
    };
    assert.deepEqual((await transport.request("a", [])).result, ["a"]);
  });

  it("gives up what had no turn in time", async () => {
    server.respond = () => "hang";
    const transport = open({ maxConcurrent: 1, timeoutMs: 100 });
    const first = transport.request("a", []);
    await until(() => server.bodies.length === 1, "the first is under way");
    const second = transport.request("b", []);
    await assert.rejects(first, failsFor("timeout"));
    await assert.rejects(second, (error) => failsFor("busy")(error) || failsFor("timeout")(error));
  });
});
