import assert from "node:assert/strict";
import { it } from "node:test";
import { createSwapGuards } from "#swap/guards.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import { claimed, detected, hexOf, locked, revealStarted } from "#test/swap/samples.ts";
import { swapWorld } from "#test/swap/support.ts";

/** Timelocks 1,000 and 2,000; F 10, I 20, D 5, R 10 on both chains: reveal by 935, counter-lock by 895. */
const revealBy = 935n;
const counterLockBy = 895n;

const withToken = (leg: string) =>
  `update events set data = jsonb_set(data, '{${leg},asset}', '{"type":"erc20","address":"${hexOf("f", 20)}"}')`;

await onDatabase("the last check before a step that cannot be taken back", (backend) => {
  const inWorld = (work: (world: Awaited<ReturnType<typeof openWorld>>) => Promise<void>) => () =>
    withDatabase(backend, async (database) => work(await openWorld(database)));

  async function openWorld(database: Parameters<typeof swapWorld>[0]) {
    const world = await swapWorld(database);
    const guards = createSwapGuards(world);
    const ask = async (kind: "swap.lock-target" | "swap.claim-target") => {
      const verdict = await guards[kind]?.({ id: "intent", kind, subject: "swap-1" });
      assert.ok(verdict);
      return verdict.send ? "send" : verdict.detail;
    };
    const marks = async () =>
      (await world.store.readAll(0n, 100)).filter(({ type }) => type === "RevealStarted").length;
    return { ...world, ask, marks };
  }

  it(
    "lets the counter-lock go to the second of its deadline, by the later of clock and chain",
    inWorld(async ({ ask, clock, alpha }) => {
      clock.seconds = counterLockBy;
      assert.equal(await ask("swap.lock-target"), "send");
      clock.seconds = counterLockBy + 1n;
      assert.match(await ask("swap.lock-target"), /safe only until 895/);
      clock.seconds = counterLockBy - 4n;
      alpha.time = counterLockBy + 1n;
      assert.match(await ask("swap.lock-target"), /safe only until 895/);
    }),
  );

  it(
    "refuses the counter-lock while the source leg is not open at a final block",
    inWorld(async ({ ask, alpha }) => {
      alpha.openAtFinal = false;
      assert.match(await ask("swap.lock-target"), /source leg is not locked at final block 40/);
    }),
  );

  it(
    "writes RevealStarted exactly when it lets the reveal go, and once",
    inWorld(async ({ ask, clock, marks, swap }) => {
      clock.seconds = revealBy;
      assert.equal(await marks(), 0);
      assert.equal(await ask("swap.claim-target"), "send");
      assert.equal(await marks(), 1);
      assert.equal((await swap()).revealStarted, true);
      assert.equal(await ask("swap.claim-target"), "send", "the mark is there, and no byte has left");
      assert.equal(await marks(), 1);
    }),
  );

  it(
    "looks at everything again when a marked claim has not left, and at nothing once its secret was mined",
    inWorld(async ({ ask, clock, alpha, append, marks }) => {
      assert.equal(await ask("swap.claim-target"), "send");
      alpha.openAtFinal = false;
      assert.match(await ask("swap.claim-target"), /source leg is not locked/);
      alpha.openAtFinal = true;
      clock.seconds = revealBy + 1n;
      assert.match(await ask("swap.claim-target"), /safe only until 935/);
      const reverted = { step: "claim-target" as const, attempt: 1, code: "intent-reverted", detail: "frozen" };
      await append({ type: "StepFailed", data: reverted });
      assert.equal(await ask("swap.claim-target"), "send");
      assert.equal(await marks(), 1);
    }),
  );

  it(
    "locks no leg twice, however long the transaction waited",
    inWorld(async ({ ask, append }) => {
      assert.equal(await ask("swap.lock-target"), "send");
      await append(detected("target"), claimed("target"));
      assert.match(await ask("swap.lock-target"), /target leg was locked already/);
    }),
  );

  it(
    "refuses the reveal and writes nothing when it is late, a leg is not open, or the payout would fail",
    inWorld(async ({ ask, clock, alpha, beta, marks, db }) => {
      clock.seconds = revealBy + 1n;
      assert.match(await ask("swap.claim-target"), /safe only until 935/);
      clock.seconds = 500n;
      alpha.openAtFinal = false;
      assert.match(await ask("swap.claim-target"), /source leg is not locked/);
      alpha.openAtFinal = true;
      beta.openAtFinal = false;
      assert.match(await ask("swap.claim-target"), /target leg is not locked/);
      beta.openAtFinal = true;
      await db.query(withToken("target"));
      beta.transferReverts = true;
      assert.match(await ask("swap.claim-target"), /payout would fail/);
      beta.transferReverts = false;
      beta.transferAnswer = hexOf("0");
      assert.match(await ask("swap.claim-target"), /answers that it did not transfer/);
      assert.equal(await marks(), 0);
      beta.transferAnswer = `0x${"1".padStart(64, "0")}`;
      assert.equal(await ask("swap.claim-target"), "send");
    }),
  );

  it(
    "refuses the counter-lock when the counterparty could not be paid on the source leg",
    inWorld(async ({ ask, alpha, db }) => {
      await db.query(withToken("source"));
      alpha.transferReverts = true;
      assert.match(await ask("swap.lock-target"), /payout would fail/);
      alpha.transferReverts = false;
      assert.equal(await ask("swap.lock-target"), "send");
    }),
  );

  it(
    "refuses both while either chain stands still, unless it idles by nature",
    inWorld(async ({ ask, alpha, beta, clock, marks }) => {
      for (const chain of [alpha, beta]) {
        chain.idles = false;
        clock.seconds = chain.time + 25n;
        assert.equal(await ask("swap.lock-target"), "send");
        clock.seconds = chain.time + 26n;
        assert.match(await ask("swap.lock-target"), /26 s old; its bound is 25 s/);
        assert.match(await ask("swap.claim-target"), /26 s old/);
        chain.idles = true;
        assert.equal(await ask("swap.lock-target"), "send");
      }
      assert.equal(await marks(), 0);
    }),
  );

  it(
    "refuses both while finality stalls on either chain",
    inWorld(async ({ ask, alpha, beta, marks }) => {
      for (const chain of [alpha, beta]) {
        chain.finalLag = 35n;
        assert.equal(await ask("swap.lock-target"), "send");
        chain.finalLag = 36n;
        assert.match(await ask("swap.lock-target"), /36 s behind; its bound is 35 s/);
        assert.match(await ask("swap.claim-target"), /36 s behind/);
        chain.finalLag = 0n;
      }
      assert.equal(await marks(), 0);
    }),
  );

  it(
    "cannot decide while a chain claims a time further ahead than its bound",
    inWorld(async ({ ask, beta, clock }) => {
      clock.seconds = 500n;
      beta.time = 506n;
      await assert.rejects(ask("swap.claim-target"), { code: "chain-time-off" });
    }),
  );

  it(
    "asks again when somebody else changes the swap in between",
    inWorld(async ({ ask, append, chains, marks }) => {
      const { chain } = chains.get("beta");
      const { block } = chain;
      Object.assign(chain, {
        block: async (at: bigint | "latest" | "final") => {
          Object.assign(chain, { block });
          await append(detected("source"), locked("source"));
          return block(at);
        },
      });
      await assert.rejects(ask("swap.claim-target"), { code: "conflict" });
      assert.equal(await marks(), 0);
      await append(revealStarted);
      assert.equal(await ask("swap.claim-target"), "send");
    }),
  );
});
