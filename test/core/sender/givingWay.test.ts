import assert from "node:assert/strict";
import { it } from "node:test";
import type { IntentRequest } from "#core/sender/sender.ts";
import { onDatabase } from "../../support/databases.ts";
import { modelKeys } from "./modelChain.ts";
import { openStage, type Stage, wanted } from "./stage.ts";

await onDatabase("an intent whose guard cannot decide", (backend) => {
  /** The guard of `test.guarded` throws while `silent`. */
  const scene = (name: string, run: (stage: Stage, edge: { silent: boolean; asked: string[] }) => Promise<void>) =>
    it(name, async () => {
      const edge = { silent: true, asked: [] as string[] };
      const guard = async ({ id }: { id: string }) => {
        edge.asked.push(id);
        if (edge.silent) throw new Error("the other chain does not answer");
        return { send: true } as const;
      };
      const builders = { reveal: async () => ({ to: modelKeys.address("bob"), data: "0x07" as const, value: 0n }) };
      const stage = await openStage(backend, {}, { deps: { builders, guards: { "test.guarded": guard } } });
      try {
        await run(stage, edge);
      } finally {
        await stage.close();
      }
    });
  const alone = (word: number, overrides: Partial<IntentRequest> = {}) =>
    wanted(word, { account: "alice", ...overrides });
  const stateOf = async (stage: Stage, id: string) => (await stage.rows()).find((row) => row.id === id)?.state;
  const mined = async (stage: Stage, times: number) => {
    for (let i = 0; i < times; i++) {
      stage.chain.mine();
      await stage.pass(105);
    }
  };

  for (const call of [undefined, { builder: "reveal", ref: {} }]) {
    scene(
      `leaves its nonce to what waits behind it, and goes later (${call ? "secret" : "plain"})`,
      async (stage, edge) => {
        await stage.submit(alone(1, { kind: "test.guarded", ...(call && { call }) }), alone(2));
        await mined(stage, 6);
        assert.equal(await stateOf(stage, "want-2"), "finalized", "its deadline is never");
        const { released } = (
          await stage.database.db.query<{ released: boolean }>("select released from sender_intent where id = 'want-1'")
        )[0] ?? { released: true };
        assert.equal(released, false);
        assert.equal((await stage.sender.find(stage.database.db, "want-1"))?.state, "queued");
        edge.silent = false;
        await stage.pass(5_000);
        await stage.finish();
        assert.equal(await stateOf(stage, "want-1"), "finalized");
        const calls = await stage.database.db.query<{ n: number }>(
          `select count(distinct a.nonce)::integer as n from sender_attempt a join sender_intent i on i.id = a.intent
          where a.intent = 'want-1' and a.kind = 'call' and a.hash = i.mined_hash`,
        );
        assert.equal(calls[0]?.n, 1);
      },
    );
  }

  scene(
    "keeps its nonce while nothing else waits, or only what cannot be decided about either",
    async (stage, edge) => {
      await stage.submit(alone(1, { kind: "test.guarded" }), alone(2, { kind: "test.guarded" }));
      await mined(stage, 6);
      const rows = await stage.rows();
      assert.deepEqual(
        rows.map(({ state, nonce }) => `${state} ${nonce}`),
        ["signed 0", "signed 1"],
      );
      edge.silent = false;
      await stage.finish();
      assert.deepEqual(
        (await stage.rows()).map(({ state, nonce }) => `${state} ${nonce}`),
        ["finalized 0", "finalized 1"],
      );
    },
  );

  scene(
    "that was to be signed by a time, and was, goes whenever it can, also from another process",
    async (stage, edge) => {
      const signBy = BigInt(Math.floor(stage.clock.now() / 1_000)) + 3n;
      await stage.submit(alone(1, { kind: "test.guarded" }), alone(2, { kind: "test.guarded", signBy }));
      await mined(stage, 3);
      await stage.pass(6_000);
      await stage.sender.stop();
      await stage.sender.start();
      await mined(stage, 3);
      edge.silent = false;
      await stage.finish();
      assert.deepEqual([await stateOf(stage, "want-1"), await stateOf(stage, "want-2")], ["finalized", "finalized"]);
    },
  );

  scene("goes on giving way in another process, and is over when its time has passed", async (stage, edge) => {
    const notAfter = BigInt(Math.floor(stage.clock.now() / 1_000)) + 3n;
    await stage.submit(alone(1, { kind: "test.guarded", notAfter }), alone(2));
    await stage.pass(105);
    await stage.pass(105);
    await stage.sender.stop();
    await stage.sender.start();
    await mined(stage, 6);
    assert.equal(await stateOf(stage, "want-2"), "finalized");
    await stage.pass(6_000);
    await stage.finish();
    assert.equal(await stateOf(stage, "want-1"), "abandoned");
    edge.silent = false;
    const before = edge.asked.length;
    await mined(stage, 3);
    assert.equal(edge.asked.length, before);
  });
});
