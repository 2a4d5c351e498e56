import assert from "node:assert/strict";
import { request } from "node:http";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { apiDocument } from "#app/api/document.ts";
import { problemSchema } from "#core/http/problem.ts";
import { errorTable } from "#core/kernel/errors.ts";
import { openNetwork, type TestNetwork } from "#test/support/network.ts";
import { type Document, type Operation, type ReadDocument, readDocument } from "#test/support/openapi/document.ts";
import { type FuzzRequest, type Known, requestsOf } from "#test/support/openapi/requests.ts";
import { messageRequest, swapRequest } from "./requests.ts";

/** How long rounds through all routes go on, and where they begin; the seed of a failure is in its message. */
const budgetMs = 1_000 * Number(process.env.LOCKSTEP_FUZZ_SECONDS ?? 12);
const seed = Number(process.env.LOCKSTEP_FUZZ_SEED ?? Date.now() % 2 ** 31);

/** What may fail in earnest: endpoints that a request itself names, and the first block of a local chain. */
const mayFail: Readonly<Record<string, RegExp>> = {
  addChain: /^chain-/,
  changeChain: /^chain-/,
  restoreChain: /^chain-/,
  // Hardhat's first block has another state root than the state it proves.
  proveAccount: /^chain-answer-invalid$/,
  proveSlot: /^chain-answer-invalid$/,
};
/** Answers that do not end. */
const endless = new Set(["streamEvents", "socketEvents"]);
/** What would take the network apart is asked for of chains and lanes that are not there. */
const takesApart = new Set(["addChain", "changeChain", "removeChain", "restoreChain", "reindexChain", "removeLane"]);
const noChains = ["gamma", "delta"];

type Answered = { status: number; headers: NodeJS.Dict<string | string[]>; text: string };

describe("requests made from the OpenAPI document", () => {
  let test: TestNetwork;
  let read: ReadDocument;
  let known: Known;
  before(async () => {
    test = await openNetwork();
    read = readDocument((await (await fetch(`${test.network.api}/openapi.json`)).json()) as Document);
    known = await whatIsThere(test);
  });
  after(() => test?.close());

  const send = ({ method, target, contentType, body }: FuzzRequest): Promise<Answered> =>
    new Promise((resolve, reject) => {
      const { hostname, port, host } = new URL(test.network.api);
      const headers = {
        ...{ host, authorization: `Bearer ${test.network.token()}`, connection: "close" },
        ...(body !== undefined && { "content-type": contentType, "content-length": Buffer.byteLength(body) }),
      };
      const outgoing = request({ hostname, port, method, path: target, headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("end", () => {
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(parts).toString() });
        });
      });
      outgoing.on("error", reject);
      outgoing.end(body);
    });

  it("are made from the one that is kept in docs/openapi.json", async () => {
    const served = await (await fetch(`${test.network.api}/openapi.json`)).json();
    assert.deepEqual(served, await apiDocument().then((document) => JSON.parse(JSON.stringify(document)) as unknown));
  });

  it("can be its own examples", async () => {
    const recipient = test.network.chains.beta?.deployment.recorder;
    const token = test.network.chains.beta?.deployment.token;
    const made: Record<string, object> = {
      requestSwap: {},
      requestQuote: { target: { chain: "beta", asset: { type: "erc20", address: token } } },
      sendMessage: { recipient },
      putHalt: {},
      retryMessages: {},
    };
    for (const { operation, method, path } of read.operations) {
      const changed = made[operation.operationId ?? ""];
      if (!changed) continue;
      const example = operation.requestBody?.content["application/json"]?.example as object;
      const answered = await send(plain(method, path, { ...example, ...changed }));
      assert.ok(answered.status < 300, `${operation.operationId}: ${answered.text}`);
      check(read, operation, answered);
      const { id } = JSON.parse(answered.text) as { id?: string };
      if (answered.status === 202 && id !== undefined) assert.equal(answered.headers.location, `${path}/${id}`);
      if (path === "/v1/halts") await send(plain("DELETE", `/v1/halts/${encodeURIComponent(id ?? "")}`));
    }
  });

  it("are answered as it says, and the service is well afterwards", { timeout: 300_000 }, async (t) => {
    t.diagnostic(`LOCKSTEP_FUZZ_SEED=${seed}`);
    const end = performance.now() + budgetMs;
    for (let round = 0; round === 0 || performance.now() < end; round++) {
      for (const route of read.operations) {
        if (endless.has(route.operation.operationId ?? "")) continue;
        const there = takesApart.has(route.operation.operationId ?? "") ? { ...known, ...noneOf(noChains) } : known;
        const property = fc.asyncProperty(requestsOf(read, route, there), async (made) => {
          check(read, route.operation, await send(made));
        });
        await fc.assert(property, { seed: seed + round, numRuns: 10, endOnFailure: true });
      }
      t.diagnostic(`${10 * (round + 1)} requests of each of ${read.operations.length} operations`);
    }
    for (const path of ["/v1/chains/alpha/resume", "/v1/chains/beta/resume"]) await post(path);
    for (const path of ["/v1/lanes/alpha/beta/resume", "/v1/lanes/beta/alpha/resume"]) await post(path);
    const { halts } = await get<{ halts: { id: string }[] }>("/v1/halts");
    for (const { id } of halts) await send(plain("DELETE", `/v1/halts/${encodeURIComponent(id)}`));
    assert.equal((await send(plain("GET", "/health/ready"))).status, 200);
    const metrics = (await send(plain("GET", "/metrics"))).text;
    assert.doesNotMatch(metrics, /^lockstep_http_undeclared_errors_total\{.*[1-9]$/m);
    const { id } = JSON.parse((await post("/v1/swaps", swapRequest(test.network))).text) as { id: string };
    assert.equal((await get<{ id: string }>(`/v1/swaps/${id}`)).id, id);
  });

  const plain = (method: string, target: string, body?: object): FuzzRequest => ({
    ...{ method, target, path: target, contentType: "application/json" },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const post = async (target: string, body?: object): Promise<Answered> => {
    const answered = await send(plain("POST", target, body));
    assert.ok(answered.status < 300, `${target}: ${answered.text}`);
    return answered;
  };
  const get = async <T>(target: string): Promise<T> => JSON.parse((await send(plain("GET", target))).text) as T;
});

/** Throws unless the answer is one that the document has for the operation. */
function check(read: ReadDocument, operation: Operation, { status, headers, text }: Answered): void {
  const { operationId = "" } = operation;
  const said = `${status} ${text.slice(0, 500)}`;
  assert.equal(headers["x-injected"], undefined);
  const type = String(headers["content-type"]);
  if (status === 404 && text.includes('"there is no ')) return;
  const described = read.answerOf(operation, status);
  assert.ok(described, `${operationId} does not answer ${said}`);
  const media = described.content?.[type.split(";")[0] ?? ""];
  assert.ok(media, `${operationId} does not answer in ${type}`);
  const body: unknown = JSON.parse(text);
  assert.equal(read.misfit(media.schema, body), undefined, `${operationId} does not answer ${said}`);
  if (status < 400 || operationId === "") return;
  const { code } = problemSchema.strict().parse(body);
  assert.equal(errorTable[code as keyof typeof errorTable].status, status);
  assert.ok(status < 500 || mayFail[operationId]?.test(code), `${operationId} fails: ${said}`);
}

const noneOf = (names: readonly string[]): Known => ({ name: names, origin: names, destination: names });

/** What requests can speak of that is there, by the names of fields. */
async function whatIsThere({ network, api }: TestNetwork): Promise<Known> {
  const swap = (await api.post("/v1/swaps", swapRequest(network))) as { id: string; source: { lockId: string } };
  const message = (await api.post("/v1/messages", messageRequest(network))) as { id: string };
  const { token, recorder } = network.chains.beta?.deployment ?? {};
  const chains = ["alpha", "beta"];
  const owners = Object.values(network.accounts).map(({ address }) => address);
  return {
    ...{ chain: chains, name: chains, origin: chains, destination: chains, account: ["alice", "bob"] },
    ...{ amount: ["1", "1000", "2500000000"], tip: ["0", "5"], gasLimit: ["100000"], payload: ["0x68656c6c6f"] },
    ...{ address: [token, recorder, ...owners], recipient: [recorder, token], sender: owners },
    ...{ id: [swap.id, message.id], lockId: [swap.source.lockId], url: ["http://127.0.0.1:1"] },
    ...{ block: ["final", "0", "1", "99999999999"], limit: ["1", "100"], lane: ["alpha→beta"] },
  };
}
