import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { numberToHex, parseGwei, parseTransaction } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { onDatabase } from "../../support/databases.ts";
import { type LocalChain, startLocalChain } from "../../support/localChain.ts";
import { type RpcProxy, startRpcProxy } from "../../support/rpcProxy.ts";
import { deployRinger, type Ringer, ringData, rungTotal } from "../../support/tinyContracts.ts";
import { until } from "../../support/until.ts";
import { assertContiguous, type Bench, openBench, ringing } from "./support.ts";

const chainId = 991_022;

/** A chain that mines only when told, so that transactions wait. */
await onDatabase("the sender before a mempool", (backend) => {
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

  const scene = (name: string, run: () => Promise<void>) =>
    it(name, async () => {
      ringer = await deployRinger(local);
      bench = await openBench(backend, { url: proxy.url, chainId });
      proxy.seen.length = 0;
      try {
        await run();
      } finally {
        await bench.close();
        proxy.use();
        await local.mine(2);
      }
    });

  const ring = (word: bigint, overrides = {}) => ringing(ringer.address, word, overrides);
  const total = () => rungTotal(local, ringer.address);
  const waiting = async () =>
    (await local.rpc<{ transactions: unknown[] }>("eth_getBlockByNumber", ["pending", true])).transactions.length;
  const distinctSent = () =>
    [
      ...new Set(
        proxy.seen.filter(({ method }) => method === "eth_sendRawTransaction").map(({ params }) => params[0] as Hex),
      ),
    ].map((raw) => parseTransaction(raw));
  const mineUntilEnded = async (ids: readonly string[]) => {
    const all = bench.ended(ids);
    let ended = false;
    void all.then(
      () => {
        ended = true;
      },
      () => {
        ended = true;
      },
    );
    await until(async () => {
      await local.mine();
      return ended;
    }, "all have ended");
    return all;
  };

  scene("does not wait for one receipt before it sends the next", async () => {
    const sender = await bench.process();
    const ids = Array.from({ length: 12 }, (_, index) => ring(BigInt(index + 1)));
    await bench.submit(sender, ids);
    await until(async () => (await waiting()) === 12, "all twelve wait in the mempool");
    await local.mine();
    await bench.ended(ids.map(({ id }) => id));
    assertContiguous(await bench.nonces());
    assert.equal(await total(), 78n);
  });

  scene("dry-runs a call on top of those before it", async () => {
    const sender = await bench.process();
    // A node whose pending state is its latest block, and a second call that needs the first to have happened.
    let reverts = 0;
    proxy.use((request, forward) => {
      const isSecond = request.method === "eth_call" && JSON.stringify(request.params).includes(ringData(2n).slice(2));
      if (!isSecond) return undefined;
      return total().then((rung) => {
        if (rung > 0n) return forward();
        reverts++;
        return { error: { code: 3, message: "execution reverted" } };
      });
    });
    await bench.submit(sender, [ring(1n, { dryRun: true }), ring(2n, { dryRun: true })]);
    await until(() => reverts > 3, "the second reverts for a while");
    const ends = await mineUntilEnded(["ring-1", "ring-2"]);
    assert.deepEqual(
      ends.map(({ type }) => type),
      ["IntentFinalized", "IntentFinalized"],
    );
  });

  scene("raises the price of what is not mined, the same call at the same nonce, and it acts once", async () => {
    const sender = await bench.process();
    await bench.submit(sender, [ring(1n)]);
    await until(async () => (await waiting()) === 1, "it waits");
    await local.rpc("hardhat_setNextBlockBaseFeePerGas", [numberToHex(parseGwei("40"))]);
    await local.mine(3);
    await until(() => distinctSent().length > 1, "it is priced anew");
    const [end] = await mineUntilEnded(["ring-1"]);
    assert.equal(end?.type, "IntentFinalized");
    const attempts = distinctSent();
    assert.equal(new Set(attempts.map(({ nonce }) => nonce)).size, 1);
    assert.equal(new Set(attempts.map(({ data }) => data)).size, 1);
    const fees = attempts.map(({ maxFeePerGas }) => maxFeePerGas ?? 0n);
    assert.ok(fees.every((fee, index) => index === 0 || fee * 10n >= (fees[index - 1] ?? 0n) * 11n));
    assert.equal(await total(), 1n);
  });

  scene("stops at the fee ceiling and waits", async () => {
    const ceiling = parseGwei("3");
    const sender = await bench.process({ settings: { alpha: { pollMs: 5, resendMs: 50, feeCeiling: () => ceiling } } });
    await bench.submit(sender, [ring(1n)]);
    await until(() => distinctSent().length > 0, "it was sent");
    await local.rpc("hardhat_setNextBlockBaseFeePerGas", [numberToHex(parseGwei("9"))]);
    const [end] = await mineUntilEnded(["ring-1"]);
    assert.equal(end?.type, "IntentFinalized");
    assert.ok(distinctSent().every(({ maxFeePerGas }) => (maxFeePerGas ?? 0n) <= ceiling));
  });

  scene("fills a nonce that a reorganisation took away from somebody else", async () => {
    const fork = await local.snapshot();
    const address = bench.keyStore.address("alice");
    const count = Number(await local.rpc<Hex>("eth_getTransactionCount", [address, "latest"]));
    const foreign = await bench.keyStore.signTransaction("alice", {
      ...{ chainId, nonce: count, to: address, gas: 21_000n, maxFeePerGas: parseGwei("60"), maxPriorityFeePerGas: 1n },
    });
    await local.rpc("eth_sendRawTransaction", [foreign.raw]);
    await local.mine();
    const sender = await bench.process();
    await bench.submit(sender, [ring(1n)]);
    await until(async () => (await bench.nonces()).length === 1, "it has the nonce after");
    assert.deepEqual(await bench.nonces(), [count + 1]);
    await local.revert(fork);
    const [end] = await mineUntilEnded(["ring-1"]);
    assert.equal(end?.type, "IntentFinalized");
    assert.deepEqual(await bench.nonces(), [count, count + 1]);
  });

  scene("voids what was signed, never left and is late after a restart, whichever process signed it", async () => {
    let deaths = 0;
    const mark = (point: string) => {
      if (point !== "signed/test.ring" || deaths > 0) return;
      deaths++;
      throw new Error("the process dies here");
    };
    const dying = await bench.process({ mark, settings: { alpha: { pollMs: 60_000 } } });
    const soon = BigInt(Math.floor(Date.now() / 1_000));
    await bench.submit(dying, [ring(1n, { notAfter: soon }), ring(2n)]);
    await until(() => deaths > 0, "it dies");
    await dying.stop();
    await until(() => Math.floor(Date.now() / 1_000) > Number(soon), "its time passes");
    await bench.process();
    const [late, other] = await mineUntilEnded(["ring-1", "ring-2"]);
    assert.ok(late?.type === "IntentAbandoned" && late.data.reason === "expired");
    assert.equal(other?.type, "IntentFinalized");
    assert.equal(await total(), 2n);
    assert.ok(
      distinctSent().every(({ data }) => data !== ringData(1n)),
      "its bytes never left",
    );
  });

  scene(
    "drives a secret call on after a restart though its time has passed, once its bytes may have left",
    async () => {
      let deaths = 0;
      const mark = (point: string) => {
        if (point !== "broadcast/test.reveal" || deaths > 0) return;
        deaths++;
        throw new Error("the process dies here");
      };
      const builders = { reveal: async () => ({ to: ringer.address, data: ringData(5n), value: 0n }) };
      const dying = await bench.process({ mark, builders, settings: { alpha: { pollMs: 60_000 } } });
      const soon = BigInt(Math.floor(Date.now() / 1_000) + 1);
      const call = { builder: "reveal", ref: {} };
      await bench.submit(dying, [ring(5n, { kind: "test.reveal", call, notAfter: soon })]);
      await until(() => deaths > 0, "it dies");
      await dying.stop();
      // The mempool lost it as well.
      await local.rpc("hardhat_dropTransaction", [
        (await bench.database.db.query<{ hash: Hex }>("SELECT hash FROM sender_attempt"))[0]?.hash,
      ]);
      await until(() => Math.floor(Date.now() / 1_000) > Number(soon), "its time passes");
      await bench.process({ builders });
      const [end] = await mineUntilEnded(["ring-5"]);
      assert.equal(end?.type, "IntentFinalized");
      assert.equal(await total(), 5n);
    },
  );
});
