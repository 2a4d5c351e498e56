import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LockstepError } from "#core/kernel/errors.ts";
import { createReadings, type Read } from "#swap/readings.ts";
import { hexOf } from "./samples.ts";
import { fakeChain } from "./support.ts";

const account = hexOf("a", 20);

function world() {
  const clock = { ms: 0, now: () => clock.ms, sleep: async () => undefined };
  const chain = fakeChain("alpha");
  const asked = { blocks: 0, accounts: 0 };
  const { block, account: accountOf } = chain;
  chain.block = async (at) => {
    asked.blocks += 1;
    return block(at);
  };
  chain.account = async (...given) => {
    asked.accounts += 1;
    return accountOf(...given);
  };
  const withReadings = createReadings({ clock });
  const needing = (coin: bigint) => async (read: Read) => {
    const held = await (await read(chain)).coin(account);
    if (held < coin) throw new LockstepError("balance-insufficient", `${held}`);
    return held;
  };
  return { clock, chain, asked, withReadings, needing };
}

describe("what requests read of a chain", () => {
  it("is shared by those of the same moment, and read anew after it", async () => {
    const { clock, asked, withReadings, needing } = world();
    await Promise.all([withReadings(needing(0n)), withReadings(needing(0n))]);
    clock.ms += 250;
    await withReadings(needing(0n));
    assert.deepEqual(asked, { blocks: 1, accounts: 1 });
    clock.ms += 1;
    await withReadings(needing(0n));
    assert.deepEqual(asked, { blocks: 2, accounts: 2 });
  });

  it("refuses nothing that has come into an account since", async () => {
    const { chain, asked, withReadings, needing } = world();
    await withReadings(needing(0n));
    chain.balance = 5n;
    assert.equal(await withReadings(needing(5n)), 5n);
    assert.equal(await withReadings(needing(5n)), 5n, "the newer one is what is shared from then on");
    assert.equal(asked.blocks, 2);
    await assert.rejects(withReadings(needing(6n)), { code: "balance-insufficient" });
    assert.equal(asked.blocks, 3);
  });

  it("is refused after one look where that was a request's own", async () => {
    const { asked, withReadings, needing } = world();
    await assert.rejects(withReadings(needing(1n)), { code: "balance-insufficient" });
    assert.equal(asked.blocks, 1);
  });

  it("is read once by a request that needs it twice, and its own reading counts as its own", async () => {
    const { clock, chain, asked, withReadings } = world();
    const twice = async (read: Read) => {
      const [first] = await Promise.all([read(chain), read(chain)]);
      clock.ms += 1_000;
      assert.equal(await read(chain), first, "however long it takes");
      throw new LockstepError("balance-insufficient", "short");
    };
    await assert.rejects(withReadings(twice), { code: "balance-insufficient" });
    assert.equal(asked.blocks, 1);
  });

  it("is nothing that seems to be read later than now, since the clock was set back", async () => {
    const { clock, asked, withReadings, needing } = world();
    await withReadings(needing(0n));
    clock.ms -= 60_000;
    await withReadings(needing(0n));
    await withReadings(needing(0n));
    assert.equal(asked.blocks, 2);
  });

  it("is asked for again by the next one when it failed", async () => {
    const { chain, withReadings, needing } = world();
    const { account: accountOf, block } = chain;
    const fail = async () => {
      throw new LockstepError("chain-unreachable", "no answer");
    };
    chain.account = fail;
    await assert.rejects(withReadings(needing(0n)), { code: "chain-unreachable" });
    chain.account = accountOf;
    await withReadings(needing(0n));
    const other = world();
    other.chain.block = fail;
    await assert.rejects(other.withReadings(other.needing(0n)), { code: "chain-unreachable" });
    other.chain.block = block;
    await other.withReadings(other.needing(0n));
  });
});
