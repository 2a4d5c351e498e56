import assert from "node:assert/strict";
import { it } from "node:test";
import { senderCheck } from "#app/api/senderCheck.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { createLog } from "#core/observe/log.ts";
import type { SendSettings } from "#core/sender/context.ts";
import { onDatabase } from "../../support/databases.ts";
import { modelKeys } from "./modelChain.ts";
import { openStage, type Stage, wanted } from "./stage.ts";

const gwei = 10n ** 9n;
const alice = modelKeys.address("alice");
type Settings = Partial<SendSettings>;

await onDatabase("why intents wait", (backend) => {
  const scene = (name: string, settings: Settings, run: (stage: Stage, lines: string[]) => Promise<void>) =>
    it(name, async () => {
      const lines: string[] = [];
      const destination = { write: (line: string) => lines.push(line) > 0 } as unknown as NodeJS.WritableStream;
      const log = createLog({ level: "info", name: "test", destination });
      const guards = {
        "test.guarded": () => Promise.reject(new LockstepError("chain-unreachable", "nobody answers")),
      };
      const stage = await openStage(backend, settings, { log, deps: { guards } });
      try {
        await run(stage, lines);
      } finally {
        await stage.close();
      }
    });

  const reasonOf = async ({ sender, database }: Stage, id: string) => {
    const status = await sender.find(database.db, id);
    return status !== undefined && "waiting" in status ? status.waiting : undefined;
  };
  const alone = (word: number, overrides = {}) => wanted(word, { account: "alice", ...overrides });
  const ceilings = (kind: string) => (kind === "test.claim" ? 1_000n * gwei : 3n * gwei);

  scene(
    "is told of a kind that the chain is too dear for, which gets no nonce",
    { feeCeiling: ceilings },
    async (stage) => {
      stage.chain.setBaseFee(9n * gwei);
      await stage.submit(alone(1), alone(2, { kind: "test.claim" }));
      await stage.pass();
      assert.equal((await reasonOf(stage, "want-1"))?.code, "gas-price-too-high");
      assert.equal(await reasonOf(stage, "want-2"), undefined);
      assert.deepEqual(
        (await stage.rows()).map(({ nonce }) => nonce),
        [null, 0n],
      );
      stage.chain.setBaseFee(gwei);
      await stage.pass(2_000);
      await stage.finish();
      assert.equal((await stage.sender.waiting()).size, 0);
    },
  );

  scene(
    "is told of what is signed when the chain gets too dear, and of those behind it",
    { feeCeiling: ceilings },
    async (stage) => {
      await stage.submit(alone(1), alone(2));
      await stage.pass();
      stage.chain.setBaseFee(9n * gwei);
      for (let n = 0; n < 8; n++) {
        stage.chain.mine();
        await stage.pass(1_100);
      }
      assert.equal((await reasonOf(stage, "want-1"))?.code, "gas-price-too-high");
      const behind = await reasonOf(stage, "want-2");
      assert.equal(behind?.code, "gas-price-too-high");
      assert.ok((await stage.sender.waiting()).has("want-1"));
      stage.chain.setBaseFee(gwei);
      await stage.finish();
    },
  );

  let isPaused = false;
  scene(
    "is told of what a pause of the chain holds back, until it is over",
    { holds: () => isPaused },
    async (stage) => {
      isPaused = true;
      await stage.submit(alone(1));
      await stage.pass();
      assert.equal((await reasonOf(stage, "want-1"))?.code, "chain-paused");
      assert.deepEqual(await stage.sender.unfinished(stage.database.db, "alpha"), { queued: 1, signed: 0 });
      isPaused = false;
      await stage.pass(2_000);
      assert.equal(await reasonOf(stage, "want-1"), undefined);
      await stage.finish();
    },
  );

  const prices = async ({ database }: Stage) => {
    const rows = await database.db.query<{ fee: string }>("SELECT max_fee AS fee FROM sender_attempt ORDER BY place");
    return rows.map(({ fee }) => BigInt(fee));
  };

  for (const outbids of [false, true]) {
    const what = outbids ? "is paid more and more for a claim" : "is not paid more for, but told";
    scene(`that are lost at a price above the market: ${what}`, { outbids: () => outbids }, async (stage, lines) => {
      stage.chain.failSends(Array.from({ length: 100 }, () => "silent" as const));
      await stage.submit(alone(1));
      for (let n = 0; n < 12; n++) {
        stage.chain.mine();
        await stage.pass(1_100);
      }
      assert.equal((await prices(stage)).length > 1, outbids);
      assert.equal((await reasonOf(stage, "want-1"))?.code, outbids ? undefined : "inclusion-stalled");
      assert.equal(
        lines.some((line) => line.includes("price is not raised")),
        !outbids,
      );
      stage.chain.failSends([]);
      await stage.finish();
    });
  }

  scene("is told of a guard that cannot decide, of money, and of nodes that refuse", {}, async (stage) => {
    await stage.submit(wanted(1, { account: "bob", kind: "test.guarded" }));
    stage.chain.failSends(Array.from({ length: 100 }, () => "refused" as const));
    await stage.submit(alone(2));
    await stage.pass();
    await stage.pass();
    assert.equal((await reasonOf(stage, "want-1"))?.code, "guard-undecided");
    assert.equal((await reasonOf(stage, "want-2"))?.code, "transaction-refused");
    stage.chain.setBalance(alice, 1n);
    await stage.submit(alone(3));
    await stage.pass();
    assert.equal((await reasonOf(stage, "want-3"))?.code, "balance-insufficient");
  });

  scene("and what nodes refuse for good gives its nonce up to those behind it", {}, async (stage) => {
    const refuseFirst = () => stage.chain.failSends(["refused"]);
    refuseFirst();
    await stage.submit(alone(1));
    await stage.pass();
    await stage.submit(alone(2));
    for (let n = 0; n < 35; n++) {
      refuseFirst();
      await stage.pass(105);
    }
    stage.chain.failSends([]);
    await stage.finish();
    const [first, second] = await stage.rows();
    assert.deepEqual([first?.state, second?.state], ["abandoned", "finalized"]);
    const status = await stage.sender.find(stage.database.db, "want-1");
    assert.ok(status?.state === "abandoned" && status.reason === "refused" && /no node takes it/.test(status.detail));
  });

  scene(
    "names accounts that are stuck or low in the health check, once in the log",
    { stuckMs: 1_000, lowBalance: (account) => (account === "alice" ? { transactions: 10 } : undefined) },
    async (stage, lines) => {
      const check = senderCheck(stage.sender);
      await stage.submit(alone(1));
      await stage.finish();
      assert.equal(await check.check(), undefined);
      stage.chain.setBalance(alice, 10n * 100_000n * gwei);
      stage.chain.failSends(Array.from({ length: 500 }, () => "silent" as const));
      await stage.submit(alone(2));
      for (let n = 0; n < 25; n++) {
        stage.chain.mine();
        await stage.pass(100);
      }
      const found = await check.check();
      assert.ok(typeof found === "object");
      assert.match(found.warning, /alice on alpha is stuck: want-2 waits for [23] s \(inclusion-stalled\)/);
      assert.match(found.warning, /alice on alpha holds 1000000000000000 wei and should hold/);
      assert.equal(lines.filter((line) => line.includes("balance of an account is low")).length, 1);
      stage.chain.failSends([]);
      stage.chain.setBalance(alice, 10n ** 22n);
      await stage.finish();
      await stage.submit(alone(3));
      await stage.finish();
      assert.equal(await check.check(), undefined);
      assert.equal(lines.filter((line) => line.includes("balance of an account is well again")).length, 1);
    },
  );

  scene("is counted by state and kind, with what it cost", {}, async (stage) => {
    await stage.submit(alone(1), alone(2), wanted(3, { account: "bob", kind: "test.other" }));
    await stage.pass();
    const { open } = await stage.sender.figures();
    assert.deepEqual(
      open.map(({ account, kind, state, count }) => [account, kind, state, count]),
      [
        ["alice", "test.ring", "signed", 2],
        ["bob", "test.other", "signed", 1],
      ],
    );
    assert.ok(open.every(({ oldestMs }) => oldestMs >= 25));
    await stage.finish();
    const { open: left, ended } = await stage.sender.figures();
    assert.deepEqual(left, []);
    const shared = { chain: "alpha", reverted: 0n, abandoned: 0n };
    assert.deepEqual(ended, [
      { ...shared, account: "alice", kind: "test.ring", succeeded: 2n, gasUsed: 42_000n, fees: 42_000n * gwei },
      { ...shared, account: "bob", kind: "test.other", succeeded: 1n, gasUsed: 21_000n, fees: 21_000n * gwei },
    ]);
  });
});
