import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";
import { numberToHex } from "viem";
import type { ChainAccess } from "#core/chain/chain.ts";
import { createChain } from "#core/chain/createChain.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { quietLog } from "../../support/databases.ts";
import { behind, changing, forgingLogs, truncatingLogs } from "../../support/faults.ts";
import { type LocalChain, startLocalChain } from "../../support/localChain.ts";
import { answering, failing, finalityLag, type RpcProxy, type RpcRule, startRpcProxy } from "../../support/rpcProxy.ts";
import { deployRinger, type Ringer } from "../../support/tinyContracts.ts";
import { until } from "../../support/until.ts";

const chainId = 991_006;
const word = (value: number) => numberToHex(value, { size: 32 });

describe("a chain of which two of three endpoints have to agree", () => {
  let local: LocalChain;
  let ringer: Ringer;
  let proxies: RpcProxy[];
  let height: bigint;
  before(async () => {
    local = await startLocalChain(chainId);
    proxies = await Promise.all([1, 2, 3].map(() => startRpcProxy(local.url)));
    ringer = await deployRinger(local);
    for (let ring = 1n; ring <= 4n; ring++) await ringer.ring(ring);
    await local.mine(10);
    height = await local.height();
  });
  after(async () => {
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await local?.close();
  });
  afterEach(() => {
    for (const proxy of proxies) proxy.use();
  });

  const open = (options: { blocks?: number; tag?: boolean; timeoutMs?: number } = {}) =>
    createChain(
      {
        ...{ name: "alpha", chainId, agreement: 2, endpoints: proxies.map(({ url }) => url) },
        finality: options.tag ? "finalized" : { blocks: options.blocks ?? 2 },
      },
      { log: quietLog, clock: systemClock, timeoutMs: options.timeoutMs ?? 2_000, probeMs: 50, retries: 1 },
    );
  const lie = (index: number, ...rules: RpcRule[]) => proxies[index]?.use(...rules);
  const liarIsNamed = (chain: ChainAccess, index = 0) =>
    until(() => {
      const states = chain.endpoints().map(({ state, reason }) => [state, reason]);
      for (const [at, [state]] of states.entries()) if (at !== index) assert.notEqual(state, "disagreeing");
      return states[index]?.[0] === "disagreeing" && states[index]?.[1] === "contradicts-majority";
    }, "the liar is named");
  const logs = (chain: ChainAccess) => chain.logs({ fromBlock: 0n, toBlock: height - 2n, addresses: [ringer.address] });
  const noAgreement = (error: unknown) => isLockstepError(error, "chain-no-agreement");

  it("names nobody while all say the same", async () => {
    const chain = open();
    assert.equal((await chain.block("latest"))?.number, height);
    assert.equal((await chain.block("final"))?.number, height - 2n);
    assert.equal((await logs(chain)).length, 4);
    assert.equal((await chain.account(ringer.address, height - 3n)).hasCode, true);
    assert.equal(await chain.block(height + 50n), undefined);
    assert.equal(await chain.receipt(word(7)), undefined);
    assert.ok(chain.endpoints().every(({ reason }) => reason === undefined));
  });

  const forgedBlock = changing("eth_getBlockByNumber", (block) => ({ ...(block as object), hash: word(666) }));
  const forgedTime = changing("eth_getBlockByNumber", (block) => ({ ...(block as object), timestamp: "0x77777777" }));
  for (const [what, rule] of [
    ["hash", forgedBlock],
    ["time", forgedTime],
  ] as const) {
    it(`keeps to the majority about a final block when one lies about its ${what}, and says who`, async () => {
      const truth = await local.rpc<{ hash: string; timestamp: string }>("eth_getBlockByNumber", [
        numberToHex(height - 2n),
        false,
      ]);
      for (const tag of [false, true]) {
        for (const proxy of proxies) proxy.use(finalityLag(2));
        lie(0, rule, finalityLag(2));
        const chain = open({ tag });
        const final = await chain.block("final");
        assert.deepEqual([final?.hash, final?.timestamp], [truth.hash, BigInt(truth.timestamp)]);
        await liarIsNamed(chain);
      }
    });
  }

  for (const [how, rule] of [
    ["hides", truncatingLogs(0)],
    ["cuts off", truncatingLogs(2)],
    ["forges", forgingLogs],
  ] as const) {
    it(`catches an endpoint that tells the truth but ${how} logs`, async () => {
      const chain = open();
      assert.equal((await chain.block("final"))?.number, height - 2n);
      lie(1, rule);
      const found = await logs(chain);
      assert.deepEqual(
        found.map(({ topics }) => topics[0]),
        [1, 2, 3, 4].map(word),
      );
      await liarIsNamed(chain, 1);
    });
  }

  it("keeps to the majority about calls, accounts, receipts and transactions of final blocks", async () => {
    const [log] = await logs(open());
    assert.ok(log);
    const at = height - 3n;
    const readings: [string, RpcRule, (chain: ChainAccess) => Promise<unknown>][] = [
      ["a call", answering("eth_call", word(9)), (chain) => chain.call({ to: ringer.address, data: "0x" }, at)],
      ["a nonce", answering("eth_getTransactionCount", "0x99"), (chain) => chain.account(ringer.address, at)],
      [
        "a receipt",
        changing("eth_getTransactionReceipt", (receipt) => ({ ...(receipt as object), status: "0x0" })),
        async (chain) => (await chain.receipt(log.transactionHash))?.status,
      ],
      [
        "a block's transactions",
        changing("eth_getBlockByNumber", (block) => {
          const { transactions } = block as { transactions: unknown[] };
          return typeof transactions[0] === "object" ? { ...(block as object), transactions: [] } : block;
        }),
        (chain) => chain.transactions(log.blockNumber),
      ],
    ];
    for (const [what, rule, read] of readings) {
      const truth = await read(open());
      const chain = open();
      await chain.block("final");
      lie(2, rule);
      assert.deepEqual(await read(chain), truth, what);
      await liarIsNamed(chain, 2);
      proxies[2]?.use();
    }
  });

  it("does not take an invented height for the head, nor those who do not have it for lagging", async () => {
    const far = numberToHex(height + 1_000_000n);
    lie(0, answering("eth_blockNumber", far), (request, forward) =>
      request.params[0] === "latest"
        ? forward().then((answer) => ({
            result: { ...("result" in answer ? (answer.result as object) : {}), number: far },
          }))
        : undefined,
    );
    const chain = open();
    assert.equal((await chain.block("latest"))?.number, height);
    assert.equal((await chain.block("final"))?.number, height - 2n);
    await until(() => chain.endpoints().every(({ head }) => head !== undefined), "all were looked at");
    assert.deepEqual(
      chain.endpoints().map(({ state }) => state === "lagging"),
      [false, false, false],
    );
  });

  it("takes lag, silence and emptiness for no vote and no lie", async () => {
    for (const rule of [behind(6), failing("hang"), failing("die"), answering("eth_getBlockByNumber", null)]) {
      lie(0, rule);
      const chain = open({ timeoutMs: 250 });
      assert.equal((await chain.block("final"))?.number, height - 2n);
      assert.equal((await logs(chain)).length, 4);
      assert.notEqual(chain.endpoints()[0]?.state, "disagreeing");
    }
  });

  it("believes nobody when too few agree, and goes on when enough do again", async () => {
    lie(0, forgedBlock);
    lie(1, failing("die"));
    const chain = open();
    await assert.rejects(chain.block("final"), noAgreement);
    await assert.rejects(logs(chain), noAgreement);
    lie(0);
    assert.equal((await chain.block("final"))?.number, height - 2n);
    assert.equal((await logs(chain)).length, 4);
  });

  it("reads what is at no block from those that the majority has not contradicted", async () => {
    const chain = open();
    await chain.block("final");
    lie(0, truncatingLogs(0), answering("eth_feeHistory", { baseFeePerGas: ["0xffffffff"] }));
    await logs(chain);
    await liarIsNamed(chain);
    assert.ok((await chain.fees()).maxFeePerGas < 0xffff_ffffn);
  });
});
