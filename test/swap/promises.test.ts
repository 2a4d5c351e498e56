import assert from "node:assert/strict";
import { it } from "node:test";
import { type Asset, type LegName, type SwapEvent, swapStream } from "#swap/events.ts";
import { lockIdOf } from "#swap/legCalls.ts";
import { promisedAmounts } from "#swap/promises.ts";
import { findSwapId } from "#swap/readModel.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import { detected, failed, givenUp, hexOf, legTerms, lockIds, reorged, requested, started } from "./samples.ts";
import { swapWorld } from "./support.ts";

const token = { type: "erc20", address: hexOf("d", 20) } as const;
const coin = { type: "native" } as const;

/** Another swap of the same parties. */
function swapOf(digit: string, { asset, tip }: { asset: Asset; tip: bigint }, hashlock = hexOf(digit)): SwapEvent {
  if (requested.type !== "SwapRequested") throw new Error("it is the first event");
  const leg = (name: LegName) => {
    const terms = { ...legTerms[name], asset, tip };
    return { ...terms, lockId: lockIdOf(terms, hashlock) };
  };
  return { type: "SwapRequested", data: { ...requested.data, hashlock, source: leg("source"), target: leg("target") } };
}

await onDatabase("what open swaps will still take from a balance", (backend) => {
  const inWorld =
    (work: (world: Awaited<ReturnType<typeof swapWorld>> & ReturnType<typeof asking>) => Promise<void>) => () =>
      withDatabase(backend, async (database) => {
        const world = await swapWorld(database);
        await work({ ...world, ...asking(world) });
      });

  const asking = ({ db, store }: Awaited<ReturnType<typeof swapWorld>>) => ({
    promised: async (asset: Asset, asOf = 0n) => {
      const { chain, sender: account } = legTerms.source;
      const [amount = 0n] = (await promisedAmounts(db, [{ chain, account, asset, asOf }])).values();
      return amount;
    },
    add: (id: string, event: SwapEvent) =>
      db.tx((tx) => store.append(tx, [{ stream: swapStream(id), expected: 0, events: [event] }])),
  });

  it(
    "is amounts and tips: tips are coin, whatever is locked",
    inWorld(async ({ promised, add, append }) => {
      assert.equal(await promised(coin), 5n);
      await add("2", swapOf("2", { asset: coin, tip: 70n }));
      assert.equal(await promised(coin), 5n + 5n + 70n);
      await add("3", swapOf("3", { asset: token, tip: 900n }));
      assert.equal(await promised(coin), 10n + 70n + 900n);
      assert.equal(await promised(token), 5n);
      await append(started("lock-source"), detected("source"));
      assert.equal(await promised(coin, 10n), 5n + 70n + 900n, "the balance knows of it");
      assert.equal(await promised(coin, 9n), 10n + 70n + 900n, "the balance is older than the lock");
    }),
  );

  it(
    "is what a lock under way takes, also of a swap that was given up, until it has failed or is mined",
    inWorld(async ({ promised, append }) => {
      await append(started("lock-source"), givenUp);
      assert.equal(await promised(coin), 5n);
      await append(failed("lock-source", 501n));
      assert.equal(await promised(coin), 0n);
    }),
  );

  it(
    "is the same whether events are recorded one by one or together",
    inWorld(async ({ promised, append }) => {
      await append(started("lock-source"), failed("lock-source", 501n), started("lock-source"), givenUp);
      assert.equal(await promised(coin), 5n);
      await append(failed("lock-source", 502n));
      assert.equal(await promised(coin), 0n);
    }),
  );

  it(
    "is nothing of a swap that was given up before its lock was sent, or after it had failed",
    inWorld(async ({ promised, append, add }) => {
      await append(started("lock-source"), failed("lock-source", 501n));
      assert.equal(await promised(coin), 5n, "it is tried again");
      await append(givenUp);
      assert.equal(await promised(coin), 0n);
      await add("2", swapOf("2", { asset: coin, tip: 0n }));
      assert.equal(await promised(coin), 5n);
      await append(reorged("source", "lock"));
      assert.equal(await promised(coin), 10n, "it may be mined again");
    }),
  );

  it(
    "is of the swap whose lock has the id that is asked for, also where another one has that as its hashlock",
    inWorld(async ({ db, add }) => {
      await add("0", swapOf("4", { asset: coin, tip: 0n }, lockIds.source));
      await add("9", swapOf("5", { asset: coin, tip: 0n }, lockIds.target));
      assert.deepEqual([await findSwapId(db, lockIds.source), await findSwapId(db, lockIds.target)], ["1", "1"]);
      assert.equal(await findSwapId(db, "9"), "9");
    }),
  );
});
