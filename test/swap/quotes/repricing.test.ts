import assert from "node:assert/strict";
import { it } from "node:test";
import { z } from "zod";
import { deskConfigSchema } from "#core/config/desk.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { SwapEvent } from "#swap/events.ts";
import { createSwapGuards } from "#swap/guards.ts";
import { createRepricing } from "#swap/quotes/repricing.ts";
import { foldSwap } from "#swap/swap.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import { detected, legTerms, locked, requested, stored } from "#test/swap/samples.ts";
import { swapWorld } from "#test/swap/support.ts";

const coinOn = (chain: string) => ({ chain, asset: { type: "native" }, decimals: 0, symbol: chain.toUpperCase() });
/** Bob's desk gives coin of beta for coin of alpha. */
const repricing = (settings: object, price: { now: bigint | undefined }, account = "bob") => {
  const config = z.decode(deskConfigSchema, {
    account,
    assets: { a: coinOn("alpha"), b: coinOn("beta") },
    pairs: [{ source: "a", target: "b", least: "1", most: "1000000", feeBps: 0 }],
    prices: { table: { "ALPHA/BETA": "1" } },
    ...settings,
  } as never);
  const prices = {
    async price() {
      if (price.now === undefined) throw new LockstepError("price-unavailable", "the prices are too old");
      return { numerator: price.now, denominator: 1_000n, at: new Date() };
    },
  };
  return createRepricing({ config, prices });
};
const at = (amount: bigint): SwapEvent => {
  if (requested.type !== "SwapRequested") throw new Error("it is the first event");
  return { ...requested, data: { ...requested.data, ...amounts(amount) } };
};
const amounts = (amount: bigint) => ({
  source: { ...legTerms.source, amount: 10_000n },
  target: { ...legTerms.target, amount },
});
const swapAt = (amount: bigint, ...events: SwapEvent[]) => {
  const swap = foldSwap(stored(at(amount), ...events));
  assert.ok(swap);
  return swap;
};
const sourceLocked = [detected("source"), locked("source")];

it("the desk stands by its price to the last basis point of its limit, and by any price without one", async () => {
  const price = { now: 1_000n };
  const limited = repricing({ counterLockSlippageBps: 100 }, price);
  assert.equal(await limited.holdOn(swapAt(10_100n, ...sourceLocked)), undefined);
  const hold = await limited.holdOn(swapAt(10_101n, ...sourceLocked));
  assert.equal(hold?.code, "price-moved");
  assert.match(hold?.detail ?? "", /gives 10000 now, and 10101 was agreed; its limit is 100 bps/);
  assert.equal(await limited.holdOn(swapAt(1n, ...sourceLocked)), undefined, "a move in its favour is none");
  assert.equal(await limited.holdOn(swapAt(10_101n)), undefined, "the taker's lock is not the desk's");
  price.now = 1_001n;
  assert.equal(await limited.holdOn(swapAt(10_101n, ...sourceLocked)), undefined, "it came back");
  price.now = 1n;
  assert.equal(await repricing({}, price).holdOn(swapAt(10_000n, ...sourceLocked)), undefined);
  const others = repricing({ counterLockSlippageBps: 0 }, price, "carol");
  assert.equal(await others.holdOn(swapAt(10_000n, ...sourceLocked)), undefined);
});

it("a price that cannot be told holds the counter-lock", async () => {
  const hold = await repricing({ counterLockSlippageBps: 0 }, { now: undefined }).holdOn(swapAt(1n, ...sourceLocked));
  assert.deepEqual(hold, { code: "price-moved", detail: "the prices are too old" });
});

await onDatabase("the last check of a counter-lock of the desk", (backend) => {
  it("asks the price once more", () =>
    withDatabase(backend, async (database) => {
      const world = await swapWorld(database);
      const price: { now: bigint | undefined } = { now: 1_000n };
      const guards = createSwapGuards({ ...world, repricing: repricing({ counterLockSlippageBps: 0 }, price) });
      const ask = () => guards["swap.lock-target"]?.({ id: "intent", kind: "swap.lock-target", subject: "swap-1" });
      assert.deepEqual(await ask(), { send: true });
      price.now = 999n;
      const verdict = await ask();
      assert.ok(verdict && !verdict.send);
      assert.match(verdict.detail, /^price-moved: for 5 the desk gives 4 now, and 5 was agreed/);
      price.now = undefined;
      await assert.rejects(async () => ask(), { code: "price-unavailable" });
    }));
});
