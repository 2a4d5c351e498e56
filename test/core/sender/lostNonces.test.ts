import assert from "node:assert/strict";
import { it } from "node:test";
import { onDatabase } from "../../support/databases.ts";
import { modelKeys } from "./modelChain.ts";
import { openStage, wanted } from "./stage.ts";

const count = 40;

await onDatabase("nonces of final transactions that a deep reorganisation takes away", (backend) => {
  const alone = (word: number) => wanted(word, { account: "alice" });

  it("are used again all at once, as soon as it is sure that the chain does not lag", async () => {
    const stage = await openStage(backend);
    try {
      await stage.submit(...Array.from({ length: count }, (_, word) => alone(word)));
      await stage.finish();
      assert.equal(stage.chain.canonical().length, count);
      stage.chain.forget(1_000);
      await stage.submit(alone(count));
      for (let looks = 0; looks < 5; looks++) await stage.pass();
      assert.equal((await stage.rows()).length, count + 1, "a node that lags would say the same");
      await stage.finish();

      const nonces = stage.chain.canonical().map(({ nonce }) => nonce);
      assert.deepEqual(
        nonces,
        Array.from({ length: count + 1 }, (_, nonce) => nonce),
      );
      const own = (await stage.rows()).find(({ id }) => id === `want-${count}`);
      assert.equal(own?.nonce, BigInt(count));
      assert.ok(stage.chain.canonical().every(({ from }) => from === modelKeys.address("alice")));
    } finally {
      await stage.close();
    }
  });
});
