import assert from "node:assert/strict";
import { it } from "node:test";
import { checksummed } from "#core/kernel/codec.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import type { SwapEvent } from "#swap/events.ts";
import { exposureOf } from "#swap/quotes/exposure.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import { hexOf } from "#test/swap/samples.ts";
import { asking, coin, type DeskWorld, deskSettings, deskWorld, dollar, offering, usd } from "./deskWorld.ts";

/** How often each came out: `made`, or the code of the refusal. */
async function outcomes(asked: readonly Promise<unknown>[]): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const result of await Promise.allSettled(asked)) {
    const fate =
      result.status === "fulfilled"
        ? "made"
        : isLockstepError(result.reason)
          ? result.reason.code
          : String(result.reason);
    counts[fate] = (counts[fate] ?? 0) + 1;
  }
  return counts;
}

const twenty = Array.from({ length: 20 }, (_, i) => i);
const usdWith = (limits: object) => ({
  assets: { ...deskSettings.assets, usd: { ...deskSettings.assets.usd, ...limits } },
});

await onDatabase("what the desk has out", (backend) => {
  const inWorld =
    (work: (world: DeskWorld) => Promise<void>, settings: object = {}) =>
    () =>
      withDatabase(backend, async (database) => work(await deskWorld(database, settings)));

  it(
    "is one swap for one quote, however many redeem it at once",
    inWorld(async ({ quote, request, count }) => {
      const { quote: id } = await quote(asking("source", coin));
      const initiators = ["alice", "bob"];
      const asked = twenty.map((i) => request({ quote: id, initiator: { account: initiators[i % 2] } }));
      assert.deepEqual(await outcomes(asked), { made: 1, "quote-used": 19 });
      assert.deepEqual([await count("swaps"), await count("swap_used_quotes")], [1, 1]);
    }),
  );

  it(
    "says which swap a used quote made",
    inWorld(async ({ quote, request }) => {
      const body = { quote: (await quote(asking("source", coin))).quote, initiator: { account: "alice" } };
      const swap = await request(body);
      await assert.rejects(
        request(body),
        (error) =>
          isLockstepError(error, "quote-used") && error.details.swap === swap && error.details.field === "quote",
      );
    }),
  );

  it(
    "leaves a quote unused when it was refused for something else",
    inWorld(
      async ({ quote, request, purses }) => {
        const body = { quote: (await quote(asking("source", coin))).quote, initiator: { account: "alice" } };
        purses.beta.tokens = 1n;
        assert.deepEqual(await outcomes([request(body)]), { "inventory-insufficient": 1 });
        purses.beta.tokens = 10_000n * dollar;
        await request(body);
      },
      { mostOpen: 1 },
    ),
  );

  const one = () => offering(coin, 2_000n * dollar);

  it(
    "is at most so many swaps, when twenty ask at once",
    inWorld(
      async ({ request }) => {
        assert.deepEqual(await outcomes(twenty.map(() => request(one()))), { made: 7, "limit-reached": 13 });
      },
      { mostOpen: 7 },
    ),
  );

  it(
    "is at most so many swaps of a taker, when two takers ask for ten each",
    inWorld(
      async ({ request }) => {
        const asked = twenty.map((i) => request(offering(coin, 2_000n * dollar, i % 2 === 0 ? "alice" : "bob")));
        assert.deepEqual(await outcomes(asked), { made: 8, "limit-reached": 12 });
      },
      { mostOpenPerTaker: 4 },
    ),
  );

  it(
    "is at most so much of an asset, when twenty ask at once",
    inWorld(
      async ({ request }) => {
        assert.deepEqual(await outcomes(twenty.map(() => request(one()))), { made: 6, "limit-reached": 14 });
      },
      usdWith({ mostCommitted: (13_999n * dollar).toString() }),
    ),
  );

  it(
    "is at most so much of an asset for a taker, and another taker has as much again",
    inWorld(
      async ({ request }) => {
        const asked = twenty.map((i) => request(offering(coin, 2_000n * dollar, i % 2 === 0 ? "alice" : "bob")));
        assert.deepEqual(await outcomes(asked), { made: 6, "limit-reached": 14 });
      },
      usdWith({ mostPerTaker: (6_000n * dollar).toString() }),
    ),
  );

  it(
    "is never more than it holds, when twenty ask at once with quotes and without",
    inWorld(
      async ({ quote, request, purses }) => {
        purses.beta.tokens = 15_999n * dollar;
        const quotes = await Promise.all(twenty.slice(10).map(() => quote(asking("target", 2_000n * dollar))));
        const redeemed = quotes.map((each) => request({ quote: each.quote, initiator: { account: "alice" } }));
        const asked = [...redeemed, ...twenty.slice(10).map(() => request(one()))];
        assert.deepEqual(await outcomes(asked), { made: 7, "inventory-insufficient": 13 });
      },
      { mostOpenPerTaker: 20 },
    ),
  );

  it(
    "counts a swap until it has ended, whatever its legs show before",
    inWorld(
      async ({ request, append, index }) => {
        const id = await request(one());
        const refused = async () => assert.deepEqual(await outcomes([request(one())]), { "limit-reached": 1 });
        const seen = { transactionHash: hexOf("7"), blockNumber: 10n, blockHash: hexOf("8"), at: 500n };
        const legs: SwapEvent[] = [
          { type: "LegDetected", data: { leg: "source", ...seen } },
          { type: "LegLocked", data: { leg: "source", finalHeight: 12n } },
          { type: "LegDetected", data: { leg: "target", ...seen } },
          { type: "LegRefunded", data: { leg: "target", ...seen } },
        ];
        for (const event of legs) {
          await append(id, event);
          await refused();
        }
        await index.schedule({ id, version: legs.length + 1 }, undefined);
        await request(one());
      },
      { mostOpen: 1 },
    ),
  );

  it(
    "counts a swap that its taker never locks until the lock would come too late",
    inWorld(
      async ({ quote, request, driver, clock, requested }) => {
        const eve = { source: hexOf("e", 20), target: hexOf("f", 20) };
        const { quote: id, timelocks, deadlines } = await quote(asking("source", coin));
        const swap = await request({ quote: id, initiator: eve, hashlock: hexOf("5") });
        const later = (await requested(swap)).target.timelock - timelocks.target;
        assert.equal(later, 120n);
        clock.ms = Number(deadlines.counterLockBy + later) * 1000;
        await driver.advance(swap);
        assert.deepEqual(await outcomes([request(one())]), { "limit-reached": 1 });
        clock.ms += 1000;
        for (const _look of ["gives it up", "sees that it has ended"]) await driver.advance(swap);
        await request(one());
      },
      { mostOpen: 1 },
    ),
  );

  it(
    "still takes from a balance that was read before the lock was mined",
    inWorld(async ({ db, request, append, address }) => {
      const id = await request(one());
      const asset = { ...usd, address: checksummed(usd.address) };
      const place = { chain: "beta", asset };
      const promised = async (asOf: bigint) => (await exposureOf(db, { desk: address, place, asOf })).promised;
      assert.equal(await promised(10n), 2_000n * dollar);
      const seen = { transactionHash: hexOf("7"), blockNumber: 10n, blockHash: hexOf("8"), at: 500n };
      await append(id, { type: "LegDetected", data: { leg: "target", ...seen } });
      assert.equal(await promised(9n), 2_000n * dollar);
      assert.equal(await promised(10n), 0n);
    }),
  );

  it(
    "forgets used quotes when they have long expired, and not before",
    inWorld(async ({ quote, request, count, clock }) => {
      const redeem = async () =>
        request({ quote: (await quote(asking("source", coin))).quote, initiator: { account: "alice" } });
      await redeem();
      clock.ms += 3_600_000;
      await redeem();
      assert.equal(await count("swap_used_quotes"), 2);
      clock.ms += 31_000;
      await redeem();
      assert.equal(await count("swap_used_quotes"), 2);
    }),
  );
});
