import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { concat, keccak256, pad } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import type { IntentRequest } from "#core/sender/sender.ts";
import { openBackend } from "../../support/databases.ts";
import { startLocalChain } from "../../support/localChain.ts";
import { losingTransactions, startRpcProxy } from "../../support/rpcProxy.ts";
import { deployRinger, ringData, rungTotal } from "../../support/tinyContracts.ts";
import { until } from "../../support/until.ts";
import { openBench, ringing } from "./support.ts";

const chainId = 991_024;
const count = 1_000;
const lanes = 8;

describe("a thousand deliveries of which every fifth transaction is lost on the way", () => {
  it("leave no gap, no stuck transaction and no drift, and act once each", { timeout: 300_000 }, async () => {
    const local = await startLocalChain(chainId, { intervalMs: 200 });
    let sent = 0;
    const proxy = await startRpcProxy(
      local.url,
      // Half of them are answered as if they had been taken.
      losingTransactions(
        () => (++sent % 5 === 0 ? (sent % 10 === 0 ? "silent" : "loud") : undefined),
        (raw) => keccak256(raw as Hex),
      ),
      // A connection that the chain closes while it is asked is one more loss.
      (_, forward) => forward().catch(() => "die" as const),
    );
    const bench = await openBench(await openBackend(), { url: proxy.url, chainId });
    try {
      const ringer = await deployRinger(local);
      const names = bench.keyStore.names();
      const nonceOf = async (name: string) =>
        Number(await local.rpc<Hex>("eth_getTransactionCount", [bench.keyStore.address(name), "latest"]));
      const before = await Promise.all(names.map(nonceOf));
      const sender = await bench.process({
        pools: { pool: names },
        settings: { alpha: { pollMs: 50, resendMs: 400 } },
      });
      const wanted = Array.from({ length: count }, (_, index): IntentRequest => {
        // As long as a small delivery.
        const data = concat([ringData(BigInt(index + 1)), pad("0x01", { size: 700 })]);
        const call = { to: ringer.address, data, value: 0n };
        return ringing(ringer.address, BigInt(index + 1), { account: "pool", subject: `lane-${index % lanes}`, call });
      });
      for (let at = 0; at < count; at += 100) await bench.submit(sender, wanted.slice(at, at + 100));
      const { db } = bench.database;
      const open = "SELECT 1 FROM sender_intent WHERE state <> 'finalized' LIMIT 1";
      await until(async () => (await db.query(open)).length === 0, "all are final", 280_000);

      assert.equal(await rungTotal(local, ringer.address), BigInt((count * (count + 1)) / 2));
      const rows = await db.query<{ account: string; subject: string; nonce: bigint; status: string }>(
        "SELECT account, subject, nonce, mined_status AS status FROM sender_intent ORDER BY nonce",
      );
      assert.ok(rows.every(({ status }) => status === "success"));
      for (const [index, name] of names.entries()) {
        const own = rows.filter(({ account }) => account === name).map(({ nonce }) => Number(nonce));
        const first = before[index] ?? 0;
        assert.deepEqual(
          own,
          Array.from({ length: own.length }, (_, n) => first + n),
          "no nonce is left out",
        );
        assert.equal(await nonceOf(name), first + own.length, "the chain is where the sender is");
        assert.ok(own.length > count / 4, "both accounts work");
      }
      for (const subjects of Map.groupBy(rows, ({ subject }) => subject).values()) {
        assert.equal(new Set(subjects.map(({ account }) => account)).size, 1);
      }
      assert.ok(sent > count * 1.2, "transactions were lost");
    } finally {
      await bench.close();
      await proxy.close();
      await local.close();
    }
  });
});
