import assert from "node:assert/strict";
import { it } from "node:test";
import { onDatabase } from "../../support/databases.ts";
import { modelKeys } from "./modelChain.ts";
import { openStage, wanted } from "./stage.ts";

await onDatabase("a call whose bytes have left", (backend) => {
  it("is driven to its end at another nonce too, however late, and nobody is asked about it again", async () => {
    const builders = { reveal: async () => ({ to: modelKeys.address("bob"), data: "0x07" as const, value: 0n }) };
    const asked: string[] = [];
    const guard = async ({ id }: { id: string }) => {
      asked.push(id);
      return { send: true } as const;
    };
    const stage = await openStage(backend, {}, { deps: { builders, guards: { "test.reveal": guard } } });
    try {
      const notAfter = BigInt(Math.floor(stage.clock.now() / 1_000)) - 5n;
      const call = { builder: "reveal", ref: {} };
      await stage.database.db.tx(async (tx) => {
        await stage.sender.submit(tx, [wanted(1, { account: "alice", kind: "test.reveal", call, notAfter })]);
        // As a foreign transaction at its nonce leaves it.
        await tx.query("update sender_intent set moved = true, released = true");
      });
      await stage.finish();
      assert.deepEqual(
        (await stage.rows()).map(({ id, state }) => `${id} ${state}`),
        ["want-1 finalized"],
      );
      assert.deepEqual(asked, []);
    } finally {
      await stage.close();
    }
  });

  it("is known to have left after a restart where its time may be over by then", async () => {
    const stage = await openStage(backend);
    try {
      const notAfter = BigInt(Math.floor(stage.clock.now() / 1_000)) + 60n;
      await stage.submit(wanted(1, { account: "alice", notAfter }), wanted(2, { account: "bob" }));
      for (let looks = 0; looks < 4; looks++) await stage.pass();
      const noted = "select id, released from sender_intent order by id";
      assert.deepEqual(await stage.database.db.query(noted), [
        { id: "want-1", released: true },
        { id: "want-2", released: false },
      ]);
      // What a process finds that starts when the time is over, and nothing of it is in a block.
      stage.clock.advance(120_000);
      await stage.finish();
      assert.deepEqual(
        (await stage.rows()).map(({ state }) => state),
        ["finalized", "finalized"],
      );
    } finally {
      await stage.close();
    }
  });
});
