import assert from "node:assert/strict";
import { it } from "node:test";
import { isLockstepError } from "#core/kernel/errors.ts";
import { onDatabase } from "../../support/databases.ts";
import { modelKeys } from "./modelChain.ts";
import { openStage, type Stage, wanted } from "./stage.ts";

const alice = modelKeys.address("alice");
const cheap = 100_000n * 4n * 10n ** 9n;

await onDatabase("a pool of accounts", (backend) => {
  const scene = (name: string, run: (stage: Stage) => Promise<void>) =>
    it(name, async () => {
      const stage = await openStage(backend, { stuckMs: 2_000 });
      try {
        await run(stage);
      } finally {
        await stage.close();
      }
    });

  scene("spreads subjects, and keeps what belongs to one in order on one account", async (stage) => {
    for (let round = 0; round < 4; round++) {
      await stage.submit(...[1, 2, 3, 4].map((n) => wanted(10 * round + n, { subject: `lane-${n}` })));
      await stage.pass();
    }
    const rows = await stage.rows();
    const bySubject = Map.groupBy(rows, ({ subject }) => subject);
    for (const some of bySubject.values()) {
      assert.equal(new Set(some.map(({ account }) => account)).size, 1);
      const nonces = some.map(({ nonce }) => Number(nonce));
      assert.deepEqual(
        nonces,
        nonces.toSorted((a, b) => a - b),
      );
    }
    const counts = Map.groupBy(rows, ({ account }) => account);
    assert.deepEqual([counts.get("alice")?.length, counts.get("bob")?.length], [8, 8]);
    await stage.finish();
  });

  scene("does not tear a subject apart that two ask for at once", async (stage) => {
    await Promise.all(Array.from({ length: 6 }, (_, n) => stage.submit(wanted(n, { subject: "lane" }))));
    assert.equal(new Set((await stage.rows()).map(({ account }) => account)).size, 1);
    await stage.finish();
  });

  scene("gives to another what an account cannot pay, as long as it has no nonce", async (stage) => {
    await stage.submit(wanted(1, { subject: "a" }), wanted(2, { subject: "b" }));
    await stage.pass();
    // What is in the pool already stays where it is, with everything that belongs to it.
    stage.chain.setBalance(alice, cheap / 2n);
    await stage.submit(wanted(3, { subject: "a" }), wanted(4, { subject: "c" }), wanted(5, { subject: "c" }));
    await stage.pass();
    await stage.pass(600);
    const accountOf = async (id: string) => (await stage.rows()).find((row) => row.id === id)?.account;
    assert.deepEqual(await Promise.all(["want-1", "want-2", "want-3"].map(accountOf)), ["alice", "bob", "alice"]);
    assert.deepEqual(await Promise.all(["want-4", "want-5"].map(accountOf)), ["bob", "bob"]);
    stage.chain.setBalance(alice, 10n ** 20n);
    await stage.finish();
    assert.ok((await stage.rows()).every(({ state }) => state === "finalized"));
  });

  scene("places nothing new at an account that gets nothing into a block", async (stage) => {
    stage.chain.failSends(Array.from({ length: 500 }, () => "silent" as const));
    await stage.submit(wanted(1, { account: "alice", subject: "old" }));
    for (let n = 0; n < 30; n++) await stage.pass(100);
    await stage.submit(...[2, 3, 4].map((n) => wanted(n)));
    const placed = (await stage.rows()).filter(({ id }) => id !== "want-1");
    assert.ok(placed.every(({ account }) => account === "bob"));
    stage.chain.failSends([]);
    await stage.finish();
  });

  scene("of the same subject never lets one overtake another that cannot be paid", async (stage) => {
    for (const name of modelKeys.names()) stage.chain.setBalance(modelKeys.address(name), 3n * cheap);
    const dear = { call: { to: alice, data: "0x01" as const, value: 4n * cheap } };
    await stage.submit(wanted(1, { subject: "a", ...dear }), wanted(2, { subject: "a" }), wanted(3, { subject: "b" }));
    for (let n = 0; n < 4; n++) await stage.pass(100);
    assert.deepEqual(
      (await stage.rows()).map(({ state }) => state === "queued"),
      [true, true, false],
    );
    for (const name of modelKeys.names()) stage.chain.setBalance(modelKeys.address(name), 10n ** 20n);
    await stage.pass(6_000);
    await stage.finish();
    const [first, second] = await stage.rows();
    assert.ok(Number(first?.nonce) < Number(second?.nonce));
  });

  it("must have accounts that are there, and a name that is not one", async () => {
    const bad = [{ alice: ["bob"] }, { pool: [] }, { pool: ["carol"] }];
    for (const pools of bad) {
      const opening = openStage(backend, {}, { deps: { pools } });
      await assert.rejects(opening, (error) => isLockstepError(error, "config-invalid"));
    }
  });
});
