import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { anyHome, shareNetwork, type TestNetwork } from "#test/support/network.ts";
import { bridgeSide } from "./bridgeNetwork.ts";
import { messageRequest, swapRequest } from "./requests.ts";

type Problem = { status: number; code: string; field?: string; detail: string };

/** The request with the value at a dotted path replaced, or removed when undefined. */
function changed(request: object, path: string, value: unknown): unknown {
  const copy = structuredClone(request) as Record<string, unknown>;
  const keys = path.split(".");
  const last = keys.pop() ?? "";
  let at = copy;
  for (const key of keys) at = at[key] as Record<string, unknown>;
  if (value === undefined) delete at[last];
  else at[last] = value;
  return copy;
}

const home = await anyHome();

describe("a request that cannot be carried out", () => {
  const open = shareNetwork(home);
  let test: TestNetwork;
  let written: unknown;
  before(async () => {
    test = open();
    written = await everything();
  });

  const everything = () => Promise.all(["/v1/swaps", "/v1/messages"].map((path) => test.api.get(path)));

  async function refused(path: string, body: unknown): Promise<Problem> {
    const response = await fetch(`${test.network.api}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${test.network.token()}` },
      body: JSON.stringify(body),
    });
    const problem = (await response.json()) as Problem;
    assert.ok(response.status >= 400 && response.status < 500, `${response.status} ${JSON.stringify(problem)}`);
    assert.equal(problem.status, response.status);
    assert.match(String(response.headers.get("content-type")), /application\/problem\+json/);
    return problem;
  }

  const zeroToken = { type: "erc20", address: `0x${"12".repeat(20)}` };
  const swapCases: [string, unknown, string, string?][] = [
    ["source.chain", "gamma", "chain-unknown"],
    ["target.chain", "gamma", "chain-unknown"],
    ["target.chain", "alpha", "request-invalid"],
    ["source.asset", { type: "erc20", address: "0x1234" }, "request-invalid", "source.asset.address"],
    ["source.asset", zeroToken, "token-invalid", "source.asset.address"],
    ["source.chain", "constructor", "chain-unknown"],
    ["source.amount", "1.5", "request-invalid"],
    ["source.amount", "0", "request-invalid"],
    ["source.amount", "-1", "request-invalid"],
    ["source.amount", 5, "request-invalid"],
    ["source.amount", "9".repeat(30), "balance-insufficient"],
    ["target.amount", "9".repeat(30), "balance-insufficient"],
    ["timelocks", { source: 60, target: 3 }, "timelocks-unsafe", "timelocks.target"],
    ["timelocks", { source: 60, target: 59 }, "timelocks-unsafe", "timelocks.source"],
    ["timelocks", { source: 60.5, target: 30 }, "request-invalid", "timelocks.source"],
    ["initiator.account", "mallory", "account-unknown"],
    ["counterparty.account", "mallory", "account-unknown"],
    ["counterparty.account", "alice", "request-invalid"],
    ["initiator", undefined, "request-invalid"],
  ];
  const messageCases: [string, unknown, string, string?][] = [
    ["origin", "gamma", "chain-unknown"],
    ["destination", "gamma", "chain-unknown"],
    ["destination", "alpha", "request-invalid"],
    ["recipient", "0x1234", "request-invalid"],
    ["recipient", "0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "request-invalid"],
    ["payload", "hello", "request-invalid"],
    ["gasLimit", "6000000", "gas-limit-too-high"],
    ["gasLimit", "1.5", "request-invalid"],
    ["account", "mallory", "account-unknown"],
  ];

  for (const [path, value, code, field = path] of swapCases) {
    it(`is refused for a swap with ${path} ${JSON.stringify(value)}`, async () => {
      const problem = await refused("/v1/swaps", changed(swapRequest(test.network), path, value));
      assert.deepEqual({ code: problem.code, field: problem.field }, { code, field }, problem.detail);
    });
  }
  for (const [path, value, code, field = path] of messageCases) {
    it(`is refused for a message with ${path} ${JSON.stringify(value)}`, async () => {
      const problem = await refused("/v1/messages", changed(messageRequest(test.network), path, value));
      assert.deepEqual({ code: problem.code, field: problem.field }, { code, field }, problem.detail);
    });
  }

  it("is refused for a swap of an ERC-721 by amount", async () => {
    const address = await bridgeSide(test, "alpha").deploy("contracts/mocks/Items.sol/PlainNft");
    const request = changed(swapRequest(test.network), "source.asset", { type: "erc20", address });
    const { code, field, detail } = await refused("/v1/swaps", request);
    assert.deepEqual([code, field], ["token-invalid", "source.asset.address"]);
    assert.match(detail, /is not an ERC-20 token/);
  });

  it("leaves nothing written", async () => {
    assert.deepEqual(await everything(), written);
  });

  it("is refused for text that no database takes, and names the field", async () => {
    const paths = { "/v1/messages/%00": "id", "/v1/messages?origin=%00": "origin", "/v1/swaps/%00": "id" };
    for (const [path, field] of Object.entries(paths)) {
      const problem = (await (await fetch(`${test.network.api}${path}`)).json()) as Problem;
      assert.deepEqual([problem.code, problem.field], ["request-invalid", field], path);
    }
    assert.equal((await refused("/v1/messages/retry", { lane: "\u0000→beta" })).field, "lane");
  });

  it("is refused for ids that do not exist", async () => {
    for (const path of ["/v1/swaps/nothing/claim", "/v1/swaps/nothing/refund", "/v1/messages/nothing/retry"]) {
      assert.equal((await refused(path, {})).code, "not-found");
    }
  });
});
