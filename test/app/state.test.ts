import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { encodeFunctionData, type Hex, keccak256, numberToHex } from "viem";
import { createStateRoutes } from "#app/api/state.ts";
import { createDeployer } from "#app/network/deployer.ts";
import { testTokenAbi } from "#core/abi/testToken.ts";
import { createChain } from "#core/chain/createChain.ts";
import { createHttpServer, type HttpServer } from "#core/http/server.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { fixed } from "#core/kernel/live.ts";
import { redact } from "#core/kernel/redacted.ts";
import { quietLog } from "#test/support/databases.ts";
import { type LocalChain, localKey, startLocalChain } from "#test/support/localChain.ts";
import { answering, type RpcProxy, type RpcRule, startRpcProxy } from "#test/support/rpcProxy.ts";
import { mappingSlot, type NodeProof } from "#test/support/state.ts";

type Answer = {
  code?: string;
  field?: string;
  detail?: string;
  block: { number: string; hash: Hex; stateRoot: Hex };
  exists: boolean;
  balance: string;
  value: Hex;
  proof: { header: Hex; account: Hex[]; storage: Hex[] };
};

const holder: Hex = "0x00000000000000000000000000000000000aBCdE";
const nobody: Hex = "0x00000000000000000000000000000000000abcdf";
const balanceSlot = mappingSlot("address", holder, 0n);
const word = (value: bigint) => numberToHex(value, { size: 32 });

/** Changes what a node answers to a method. */
const changing =
  (method: string, change: (result: Record<string, unknown>) => unknown): RpcRule =>
  (request, forward) =>
    request.method === method
      ? forward().then((answer) =>
          "result" in answer ? { result: change(structuredClone(answer.result) as Record<string, unknown>) } : answer,
        )
      : undefined;

describe("the routes of a chain's state", () => {
  let local: LocalChain;
  let proxy: RpcProxy;
  let honest: RpcProxy;
  let token: Hex;
  let minted: bigint;
  let app: HttpServer;
  before(async () => {
    local = await startLocalChain(31_337_41);
    [proxy, honest] = await Promise.all([startRpcProxy(local.url), startRpcProxy(local.url)]);
    const deployer = createDeployer({ url: local.url, key: redact(localKey(0)) });
    token = await deployer.deploy("TestToken", testTokenAbi, ["Dollar", "USD", 6]);
    for (const amount of [5n, 7n]) {
      const args = [holder, amount] as const;
      await deployer.send(token, encodeFunctionData({ abi: testTokenAbi, functionName: "mint", args }));
    }
    minted = await local.height();
    await local.mine(2);
    app = await open([proxy.url]);
  });
  after(async () => {
    await app?.close();
    await Promise.all([proxy?.close(), honest?.close()]);
    await local?.close();
  });
  beforeEach(() => {
    proxy.use();
    honest.use();
  });

  const open = async (endpoints: string[]) => {
    const server = await createHttpServer({ log: quietLog, title: "t", version: "1", description: "d" });
    const config = { name: "alpha", chainId: 31_337_41, endpoints, finality: { blocks: 2 } };
    const chain = createChain(config, { log: quietLog, clock: systemClock, retries: 1 });
    await createStateRoutes({ chains: fixed({ alpha: chain }) })(server);
    return server;
  };
  const get = async (path: string, from = app) => {
    const response = await from.inject({ url: `/v1/chains/${path}` });
    return { status: response.statusCode, answer: response.json<Answer>() };
  };
  const slot = (at: Hex, block = "") => `alpha/state/${token}/storage/${at}${block && `?block=${block}`}`;

  it("give a slot with the block it is of, and what it takes to check that", async () => {
    const { status, answer } = await get(slot(balanceSlot));
    assert.deepEqual([status, answer.value, answer.exists], [200, word(12n), true]);
    assert.equal(answer.block.number, String(minted));
    assert.equal(keccak256(answer.proof.header), answer.block.hash);
    assert.equal(keccak256(answer.proof.account[0]!), answer.block.stateRoot);
    const block = await local.rpc<{ hash: Hex }>("eth_getBlockByNumber", [numberToHex(minted), false]);
    assert.equal(answer.block.hash, block.hash);
  });

  it("give what it was at an earlier block", async () => {
    assert.equal((await get(slot(balanceSlot, String(minted - 1n)))).answer.value, word(5n));
    assert.equal((await get(slot(balanceSlot, "final"))).answer.value, word(12n));
  });

  it("give an account, and say of one that is not there that it is not", async () => {
    const { answer } = await get(`alpha/state/${token}`);
    assert.deepEqual([answer.exists, answer.balance], [true, "0"]);
    const absent = await get(`alpha/state/${nobody}`);
    assert.deepEqual([absent.status, absent.answer.exists, absent.answer.balance], [200, false, "0"]);
    const zero = await get(slot(mappingSlot("address", nobody, 0n)));
    assert.deepEqual([zero.status, zero.answer.exists, zero.answer.value], [200, true, word(0n)]);
  });

  it("refuse blocks that are not final", async () => {
    const { status, answer } = await get(slot(balanceSlot, String(minted + 1n)));
    assert.deepEqual([status, answer.code, answer.field], [409, "block-not-final", "block"]);
    assert.match(answer.detail ?? "", new RegExp(`newest final one is ${minted}$`));
  });

  it("name the field that is wrong", async () => {
    for (const [path, code, field] of [
      ["alpha/state/0x12", "request-invalid", "address"],
      [`alpha/state/${token}/storage/0x2`, "request-invalid", "slot"],
      [slot(balanceSlot, "latest"), "request-invalid", "block"],
      [slot(balanceSlot, "-1"), "request-invalid", "block"],
      [`alpha/state/${token}?at=1`, "request-invalid", "at"],
      [`gamma/state/${token}`, "chain-unknown", "name"],
      [`toString/state/${token}`, "chain-unknown", "name"],
    ]) {
      const { answer } = await get(path!);
      assert.deepEqual([answer.code, answer.field], [code, field], path);
    }
  });

  const lies: Record<string, RpcRule> = {
    "another value than its proof": changing("eth_getProof", (proof) => {
      (proof as NodeProof).storageProof[0]!.value = "0xff";
      return proof;
    }),
    "the proof of a slot that holds nothing": (request, forward) =>
      request.method === "eth_getProof"
        ? forward({ params: [request.params[0], [word(99n)], request.params[2]] })
        : undefined,
    "the proof of an earlier block": (request, forward) =>
      request.method === "eth_getProof"
        ? forward({ params: [request.params[0], request.params[1], numberToHex(minted - 1n)] })
        : undefined,
    "a header with another state root": changing("eth_getBlockByHash", (block) => ({ ...block, stateRoot: word(1n) })),
    "another block's header": (request, forward) =>
      request.method === "eth_getBlockByHash"
        ? forward({ method: "eth_getBlockByNumber", params: [numberToHex(minted - 1n), false] })
        : undefined,
    "no block": answering("eth_getBlockByHash", null),
    "nothing at all": answering("eth_getProof", null),
  };
  for (const [what, rule] of Object.entries(lies)) {
    it(`refuse an endpoint that answers with ${what}`, async () => {
      proxy.use(rule);
      const { status, answer } = await get(slot(balanceSlot));
      assert.deepEqual([status, answer.code], [502, "chain-answer-invalid"]);
    });
  }

  it("ask another endpoint when one lies", async () => {
    const both = await open([proxy.url, honest.url]);
    try {
      proxy.use(lies["another value than its proof"]!, lies["a header with another state root"]!);
      const { status, answer } = await get(slot(balanceSlot), both);
      assert.deepEqual([status, answer.value], [200, word(12n)]);
    } finally {
      await both.close();
    }
  });

  it("say so when the node keeps the state no longer", async () => {
    const error = { code: -32_000, message: "missing trie node" };
    proxy.use(({ method }) => (method === "eth_getProof" ? Promise.resolve({ error }) : undefined));
    const { status, answer } = await get(slot(balanceSlot));
    assert.deepEqual([status, answer.code], [502, "chain-request-refused"]);
  });
});
