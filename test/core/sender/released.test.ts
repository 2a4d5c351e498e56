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
});
