import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { numberToHex, parseEther, parseGwei, parseTransaction } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import type { IntentRequest } from "#core/sender/sender.ts";
import { onDatabase } from "../../support/databases.ts";
import { type LocalChain, startLocalChain } from "../../support/localChain.ts";
import { type RpcProxy, type RpcRule, startRpcProxy } from "../../support/rpcProxy.ts";
import { deployRinger, type Ringer, ringData, rungTotal } from "../../support/tinyContracts.ts";
import { until } from "../../support/until.ts";
import { assertContiguous, type Bench, openBench, ringing } from "./support.ts";

const chainId = 991_023;
const seconds = () => BigInt(Math.floor(Date.now() / 1_000));

await onDatabase("the sender and what an account can pay", (backend) => {
  let local: LocalChain;
  let proxy: RpcProxy;
  let ringer: Ringer;
  let bench: Bench;

  before(async () => {
    local = await startLocalChain(chainId, { manual: true });
    proxy = await startRpcProxy(local.url);
  });
  after(async () => {
    await proxy.close();
    await local.close();
  });

  const hold = (wei: bigint) => local.rpc("hardhat_setBalance", [bench.keyStore.address("alice"), numberToHex(wei)]);

  const scene = (name: string, run: () => Promise<void>) =>
    it(name, async () => {
      ringer = await deployRinger(local);
      bench = await openBench(backend, { url: proxy.url, chainId });
      proxy.seen.length = 0;
      await hold(parseEther("1"));
      try {
        await run();
      } finally {
        await bench.close();
        proxy.use();
        await hold(parseEther("10000"));
        await local.mine(2);
      }
    });

  const ring = (word: bigint, overrides: Partial<IntentRequest> = {}) => ringing(ringer.address, word, overrides);
  const paying = (word: bigint, value: bigint, overrides: Partial<IntentRequest> = {}) =>
    ring(word, { call: { to: bench.keyStore.address("bob"), data: "0x", value }, ...overrides });
  const sent = () =>
    proxy.seen
      .filter(({ method }) => method === "eth_sendRawTransaction")
      .map(({ params }) => parseTransaction(params[0] as Hex));
  const stateOf = async (id: string) => {
    const [row] = await bench.database.db.query<{ state: string; nonce: bigint | null; released: boolean }>(
      "SELECT state, nonce, released FROM sender_intent WHERE id = $1",
      [id],
    );
    return row;
  };
  const mineUntil = async (ids: readonly string[]) => {
    const ends = await until(
      async () => {
        await local.mine();
        const all = await Promise.all(ids.map(bench.eventsOf));
        const last = all.map((events) => events.find(({ type }) => type !== "IntentIncluded"));
        return last.every((end) => end !== undefined) && last;
      },
      `${ids.join(", ")} end`,
    );
    return ends.flatMap((end) => (end === undefined ? [] : [end]));
  };
  /** The balance that the sender reads; the chain itself knows the true one. */
  const believing = (wei: () => bigint | undefined): RpcRule => {
    return ({ method }) => {
      const told = method === "eth_getBalance" ? wei() : undefined;
      return told === undefined ? undefined : Promise.resolve({ result: numberToHex(told) });
    };
  };

  scene("gives no nonce to what the account cannot pay, and lets others by", async () => {
    const sender = await bench.process();
    const soon = seconds() + 2n;
    await bench.submit(sender, [
      paying(1n, parseEther("2"), { notAfter: soon, dryRun: true }),
      ring(2n, { kind: "test.claim" }),
      ring(3n, { notAfter: soon + 60n }),
      paying(4n, parseEther("2"), { signBy: soon }),
    ]);
    const [claim, other] = await mineUntil(["ring-2", "ring-3"]);
    assert.deepEqual([claim?.type, other?.type], ["IntentFinalized", "IntentFinalized"]);
    for (const end of await mineUntil(["ring-1", "ring-4"])) {
      assert.ok(end?.type === "IntentAbandoned" && end.data.reason === "expired");
      assert.match(end.data.detail, /balance of the account/);
    }
    assert.equal((await bench.nonces()).length, 2);
    assert.equal(
      sent().some(({ value }) => value === parseEther("2")),
      false,
    );
  });

  scene("counts what waits already, and sends the rest when there is money again", async () => {
    const sender = await bench.process();
    await bench.submit(sender, [paying(1n, parseEther("0.6")), paying(2n, parseEther("0.6")), ring(3n)]);
    await until(async () => (await bench.nonces()).length === 2, "two have nonces");
    assert.equal((await stateOf("ring-2"))?.state, "queued");
    await mineUntil(["ring-1", "ring-3"]);
    assert.equal((await stateOf("ring-2"))?.state, "queued");
    await hold(parseEther("1"));
    const [end] = await mineUntil(["ring-2"]);
    assert.equal(end?.type, "IntentFinalized");
    assertContiguous(await bench.nonces());
  });

  scene("gives no nonce to a built call that hands over more than there is", async () => {
    const builders = {
      costly: async () => ({ to: bench.keyStore.address("bob"), data: "0x" as const, value: parseEther("3") }),
    };
    const sender = await bench.process({ builders });
    await bench.submit(sender, [ring(1n, { call: { builder: "costly", ref: {} } }), ring(2n)]);
    const [end] = await mineUntil(["ring-2"]);
    assert.equal(end?.type, "IntentFinalized");
    assert.equal((await stateOf("ring-1"))?.state, "queued");
    assert.equal((await bench.nonces()).length, 1);
  });

  scene("takes the nonce back from what the account turns out not to pay, for those behind it", async () => {
    let told: bigint | undefined = parseEther("100");
    proxy.use(believing(() => told));
    const sender = await bench.process({ guards: { "test.guarded": async () => ({ send: true }) } });
    await bench.submit(sender, [paying(1n, parseEther("2"), { kind: "test.guarded" })]);
    await until(() => sent().length > 2, "it is refused");
    await until(async () => (await stateOf("ring-1"))?.released === false, "it counts as not sent");
    told = undefined;
    await bench.submit(sender, [ring(2n, { kind: "test.claim" })]);
    const [claim] = await mineUntil(["ring-2"]);
    assert.equal(claim?.type, "IntentFinalized");
    await until(async () => {
      await local.mine();
      return (await stateOf("ring-1"))?.state === "queued";
    }, "it waits without a nonce");
    assert.equal((await stateOf("ring-1"))?.nonce, null);
    assert.deepEqual(await bench.eventsOf("ring-1"), []);
    await hold(parseEther("5"));
    const [end] = await mineUntil(["ring-1"]);
    assert.equal(end?.type, "IntentFinalized");
    const rows = await bench.database.db.query("SELECT 1 FROM sender_intent WHERE reason IS NOT NULL");
    assert.equal(rows.length, 0);
  });

  scene("voids what the account could not pay once it is late, also across a restart", async () => {
    proxy.use(believing(() => parseEther("100")));
    const first = await bench.process();
    await bench.submit(first, [paying(1n, parseEther("2"), { notAfter: seconds() + 2n })]);
    await until(() => sent().length > 1, "it is refused");
    await first.stop();
    await bench.process();
    const [end] = await mineUntil(["ring-1"]);
    assert.ok(end?.type === "IntentAbandoned" && end.data.reason === "expired");
  });

  scene("never voids a built call that was released, whoever waits and however late", async () => {
    let told: bigint | undefined = parseEther("100");
    proxy.use(believing(() => told));
    const builders = { reveal: async () => ({ to: ringer.address, data: ringData(7n), value: 0n }) };
    await hold(1n);
    const sender = await bench.process({ builders });
    const soon = seconds() + 1n;
    await bench.submit(sender, [ring(7n, { call: { builder: "reveal", ref: {} }, notAfter: soon }), ring(2n)]);
    await until(() => sent().length > 1 && seconds() > soon + 1n, "it is refused until it is late");
    assert.ok(sent().every(({ data }) => data === ringData(7n)));
    assert.equal((await stateOf("ring-7"))?.released, true);
    told = undefined;
    await hold(parseEther("1"));
    const ends = await mineUntil(["ring-7", "ring-2"]);
    assert.ok(ends.every(({ type }) => type === "IntentFinalized"));
    assert.equal(await rungTotal(local, ringer.address), 9n);
  });

  scene("raises what a claim waits for up to the ceiling of the claim", async () => {
    const feeCeiling = (kind: string) => (kind === "test.claim" ? parseGwei("1000") : parseGwei("3"));
    const sender = await bench.process({ settings: { alpha: { pollMs: 5, resendMs: 50, feeCeiling } } });
    await bench.submit(sender, [ring(1n), ring(2n, { kind: "test.claim" }), ring(3n)]);
    await until(() => new Set(sent().map(({ nonce }) => nonce)).size === 3, "all were sent when gas was cheap");
    await local.rpc("hardhat_setNextBlockBaseFeePerGas", [numberToHex(parseGwei("9"))]);
    await local.mine();
    await until(() => sender.status().some(({ oldestWaitingMs = 0 }) => oldestWaitingMs > 0), "it is seen to wait");
    let ended = false;
    await until(async () => {
      await local.rpc("hardhat_setNextBlockBaseFeePerGas", [numberToHex(parseGwei("9"))]);
      await local.mine();
      ended = (await bench.eventsOf("ring-2")).some(({ type }) => type === "IntentFinalized");
      return ended;
    }, "the claim is in a final block");
    assert.equal((await bench.eventsOf("ring-3")).length, 0, "nobody waits for the last: its own ceiling holds");
    const last = (await bench.nonces()).at(-1);
    assert.ok(sent().every(({ nonce, maxFeePerGas }) => nonce !== last || (maxFeePerGas ?? 0n) <= parseGwei("3")));
  });
});
