import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { inspect } from "node:util";
import { encodeErrorResult, keccak256, numberToHex, parseAbi, parseGwei } from "viem";
import type { ChainAccess } from "#core/chain/chain.ts";
import { createChain } from "#core/chain/createChain.ts";
import { createKeyStore } from "#core/chain/keys.ts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createLog } from "#core/observe/log.ts";
import { type LocalChain, localKey, startLocalChain } from "../../support/localChain.ts";
import { answering, failing, finalityLag, type RpcProxy, startRpcProxy } from "../../support/rpcProxy.ts";
import { deployReverter, deployRinger } from "../../support/tinyContracts.ts";

const chainId = 991_001;
const errorsAbi = parseAbi(["error TooSmall(uint256 wanted, address who)", "error Passed(bytes32 id, bytes reason)"]);
const nobody: Hex = "0x000000000000000000000000000000000000bEEF";
const log = createLog({ level: "silent", name: "test" });

const failsWith = (code: string) => (error: unknown) => isLockstepError(error) && error.code === code;

describe("a chain over JSON-RPC", () => {
  let local: LocalChain;
  let proxy: RpcProxy;
  const keys = createKeyStore({ alice: redact(localKey(0)), bob: redact(localKey(1)) });

  const open = (
    endpoints: readonly string[],
    options: { finality?: { blocks: number } | "safe" | "finalized"; timeoutMs?: number; id?: number } = {},
  ) =>
    createChain(
      {
        name: "alpha",
        chainId: options.id ?? chainId,
        endpoints: [...endpoints],
        finality: options.finality ?? { blocks: 0 },
      },
      { log, clock: systemClock, errorsAbi, timeoutMs: options.timeoutMs ?? 300, retries: 1 },
    );

  const transfer = (nonce: number) =>
    keys.signTransaction("alice", {
      chainId,
      nonce,
      to: nobody,
      value: 5n,
      gas: 21_000n,
      maxFeePerGas: parseGwei("10"),
      maxPriorityFeePerGas: 1n,
    });

  before(async () => {
    local = await startLocalChain(chainId);
    proxy = await startRpcProxy(local.url);
  });
  after(async () => {
    await proxy.close();
    await local.close();
  });

  it("sends signed bytes, knows them when they come again, and finds the receipt", async () => {
    const chain = open([local.url]);
    const { raw, hash } = await transfer(0);
    assert.equal(await chain.receipt(hash), undefined);
    assert.equal(await chain.send(raw), hash);
    const receipt = await chain.receipt(hash);
    assert.equal(receipt?.status, "success");
    const block = await chain.block(receipt.blockNumber);
    assert.equal(block?.hash, receipt.blockHash);
    const [made] = (await chain.transactions(receipt.blockNumber)) ?? [];
    assert.deepEqual(made, {
      hash,
      from: keys.address("alice"),
      nonce: 0,
      call: { to: nobody, data: "0x", value: 5n },
    });
    assert.equal((await chain.account(keys.address("alice"))).nonce, 1);
    await assert.rejects(chain.send(raw), (error) => {
      return isLockstepError(error, "transaction-refused") && error.details.reason === "nonce-too-low";
    });
    await assert.rejects(chain.send((await transfer(9)).raw), (error) => {
      return isLockstepError(error, "transaction-refused") && error.details.reason === "nonce-too-high";
    });
  });

  it("decodes a custom error by its selector, and says so when it knows none", async () => {
    const chain = open([local.url]);
    const known = encodeErrorResult({ abi: errorsAbi, errorName: "TooSmall", args: [7n, nobody] });
    const reverter = await deployReverter(local, known);
    await assert.rejects(chain.call({ to: reverter }), (error) => {
      assert.ok(isLockstepError(error, "call-reverted"));
      assert.equal(error.details.error, "TooSmall");
      assert.deepEqual(error.details.args, ["7", nobody]);
      return true;
    });
    const id = numberToHex(1, { size: 32 });
    for (const [inner, words] of [
      [known, `TooSmall(7, ${nobody})`],
      [encodeErrorResult({ abi: parseAbi(["error Error(string)"]), errorName: "Error", args: ["no"] }), "Error(no)"],
      ["0xdeadbeef", "0xdeadbeef"],
    ] as const) {
      const passing = encodeErrorResult({ abi: errorsAbi, errorName: "Passed", args: [id, inner] });
      await assert.rejects(chain.call({ to: await deployReverter(local, passing) }), {
        message: `the call reverts with Passed(${id}, ${words})`,
      });
    }
    const strange = await deployReverter(local, "0xdeadbeef");
    await assert.rejects(chain.call({ to: strange }, "pending"), (error) => {
      return isLockstepError(error, "call-reverted") && error.details.selector === "0xdeadbeef";
    });
  });

  it("reads logs of the asked addresses only, in order, and nothing at all for no address", async () => {
    const chain = open([local.url]);
    const ringer = await deployRinger(local);
    const from = await local.height();
    for (let ring = 1; ring <= 3; ring++) await ringer.ring(BigInt(ring));
    const filter = { fromBlock: from + 1n, toBlock: from + 3n };
    const found = await chain.logs({ ...filter, addresses: [ringer.address] });
    assert.deepEqual(
      found.map((entry) => BigInt(entry.topics[0] ?? "0x0")),
      [1n, 2n, 3n],
    );
    assert.deepEqual(await chain.logs({ ...filter, addresses: [nobody] }), []);
    assert.deepEqual(await chain.logs({ ...filter, addresses: [] }), []);
    const events = [3n, 1n, 9n].map((ring) => numberToHex(ring, { size: 32 }));
    assert.deepEqual(await chain.logs({ ...filter, addresses: [ringer.address], events }), [found[0], found[2]]);
  });

  it("takes a block as final by its policy", async () => {
    await local.mine(5);
    const height = await local.height();
    assert.equal((await open([local.url]).block("final"))?.number, height);
    assert.equal((await open([local.url], { finality: { blocks: 3 } }).block("final"))?.number, height - 3n);
    assert.equal(await open([local.url], { finality: { blocks: 10_000 } }).block("final"), undefined);
    proxy.use(finalityLag(2));
    assert.equal((await open([proxy.url], { finality: "finalized" }).block("final"))?.number, height - 2n);
    assert.equal((await open([proxy.url], { finality: "safe" }).block("final"))?.number, height - 2n);
    proxy.use();
  });

  it("estimates fees that the next block takes", async () => {
    const block = await local.rpc<{ baseFeePerGas: string }>("eth_getBlockByNumber", ["latest", false]);
    const fees = await open([local.url]).fees();
    assert.ok(fees.maxFeePerGas >= BigInt(block.baseFeePerGas));
    assert.ok(fees.maxPriorityFeePerGas > 0n && fees.maxPriorityFeePerGas <= fees.maxFeePerGas);
  });

  it("refuses an endpoint of another chain before it asks it anything else", async () => {
    const chain = open([local.url], { id: chainId + 1 });
    await assert.rejects(chain.verifyIdentity(), failsWith("chain-id-mismatch"));
    await assert.rejects(chain.block("latest"), failsWith("chain-unreachable"));
    assert.deepEqual(
      chain.endpoints().map(({ state, reason }) => [state, reason]),
      [["excluded", "wrong-chain"]],
    );
    await open([local.url]).verifyIdentity();
  });

  it("asks an endpoint for its id again after it was away", async () => {
    const chain = open([proxy.url]);
    await chain.verifyIdentity();
    proxy.use(failing("die"));
    await assert.rejects(chain.block("latest"), failsWith("chain-unreachable"));
    proxy.use(answering("eth_chainId", numberToHex(4)));
    await assert.rejects(chain.block("latest"), failsWith("chain-unreachable"));
    assert.equal(chain.endpoints()[0]?.state, "excluded");
    proxy.use();
    assert.ok(await chain.block("latest"));
  });

  it("calls a silent or dead endpoint unreachable, and goes on with the next", async () => {
    for (const how of ["hang", "die"] as const) {
      proxy.use(failing(how));
      await assert.rejects(open([proxy.url], { timeoutMs: 60 }).block("latest"), failsWith("chain-unreachable"));
      assert.ok(await open([proxy.url, local.url], { timeoutMs: 60 }).block("latest"));
    }
    proxy.use();
  });

  it("refuses answers that cannot be right", async () => {
    const lies: [string, unknown, (chain: ChainAccess) => Promise<unknown>][] = [
      ["eth_getBlockByNumber", { number: "0x1", hash: "0x12" }, (chain) => chain.block("latest")],
      ["eth_getBlockByNumber", await local.rpc("eth_getBlockByNumber", ["0x2", false]), (chain) => chain.block(1n)],
      [
        "eth_getLogs",
        [{ address: nobody }],
        (chain) => chain.logs({ fromBlock: 0n, toBlock: 1n, addresses: [nobody] }),
      ],
      ["eth_getLogs", [foreignLog()], (chain) => chain.logs({ fromBlock: 0n, toBlock: 1n, addresses: [nobody] })],
      [
        "eth_getLogs",
        [{ ...foreignLog(), address: nobody }],
        (chain) => chain.logs({ fromBlock: 0n, toBlock: 1n, addresses: [nobody], events: [keccak256("0x03")] }),
      ],
      ["eth_getTransactionCount", "many", (chain) => chain.account(nobody)],
      ["eth_feeHistory", { baseFeePerGas: [] }, (chain) => chain.fees()],
      ["eth_sendRawTransaction", keccak256("0x01"), (chain) => chain.send("0x02")],
      ["eth_call", 7, (chain) => chain.call({ to: nobody })],
    ];
    for (const [method, lie, ask] of lies) {
      proxy.use(answering(method, lie));
      await assert.rejects(ask(open([proxy.url])), failsWith("chain-answer-invalid"), method);
    }
    proxy.use();
  });

  it("never shows the bytes of a transaction in an error", async () => {
    const { raw } = await transfer(1);
    const chain = open([proxy.url], { timeoutMs: 60 });
    const refusal = { error: { code: -32000, message: `invalid transaction ${raw}` } };
    for (const rule of [failing("die"), failing("hang"), () => Promise.resolve(refusal)]) {
      proxy.use(answering("eth_chainId", numberToHex(chainId)), rule);
      const error = await chain.send(raw).catch((caught: unknown) => caught);
      assert.ok(error instanceof LockstepError);
      assert.equal(inspect(error, { depth: 20, showHidden: true }).includes(raw.slice(10, 60)), false);
    }
    proxy.use();
  });
});

const foreignLog = () => ({
  address: keccak256("0x05").slice(0, 42),
  topics: [],
  data: "0x",
  blockNumber: "0x1",
  blockHash: keccak256("0x01"),
  transactionHash: keccak256("0x02"),
  logIndex: "0x0",
});
