import assert from "node:assert/strict";
import { it } from "node:test";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import { asking, coin, type DeskWorld, deskSettings, deskWorld, dollar, offering, usd } from "./deskWorld.ts";

/** What a refusal says: its code, and those of its details that are named. */
async function refusal(asked: Promise<unknown>, ...details: string[]): Promise<unknown[]> {
  const error = await asked.then(
    () => assert.fail("it was not refused"),
    (error: unknown) => error,
  );
  assert.ok(isLockstepError(error), String(error));
  return [error.code, ...details.map((name) => error.details[name])];
}

await onDatabase("the desk", (backend) => {
  const inWorld =
    (work: (world: DeskWorld) => Promise<void>, settings: object = {}) =>
    () =>
      withDatabase(backend, async (database) => work(await deskWorld(database, settings)));

  it(
    "quotes both ways, with everything that a swap would have",
    inWorld(async ({ quote, address, count }) => {
      const given = await quote(asking("source", coin));
      assert.deepEqual(
        [given.source.amount, given.target.amount, given.fee, given.expiresAt],
        [coin, 2_492_500_000n, 7_500_000n, 530n],
      );
      assert.deepEqual(given.price, { numerator: 2_500n, denominator: 1n, at: new Date(500_000).toISOString() });
      assert.deepEqual(given.counterparty, { account: "desk", address });
      assert.deepEqual(given.gas, { source: 3_000_000n, target: 3_420_000n });
      assert.ok(given.deadlines.sourceLockBy > 500n && given.timelocks.source > given.timelocks.target);
      const wanted = await quote(asking("target", 2_492_500_000n));
      assert.deepEqual([wanted.source.amount, wanted.target.amount], [coin, 2_492_500_000n]);
      for (const table of ["events", "swaps", "swap_used_quotes"]) assert.equal(await count(table), 0, table);
    }),
  );

  it(
    "names the field and the bounds of an amount that is out of range, and trades at the bounds",
    inWorld(async ({ quote }) => {
      const bounds = { source: [coin / 1000n, 10n * coin], target: [2_492_500n, 24_925_000_000n] } as const;
      for (const side of ["source", "target"] as const) {
        const [least, most] = bounds[side];
        for (const amount of [least, most]) assert.equal((await quote(asking(side, amount)))[side].amount, amount);
        for (const amount of [least - 1n, most + 1n])
          assert.deepEqual(await refusal(quote(asking(side, amount)), "field", "given", "least", "most"), [
            ...["amount-out-of-range", `${side}.amount`, amount, least, most],
          ]);
      }
    }),
  );

  it(
    "does not trade dust of which the fee would leave nothing",
    inWorld(
      async ({ quote }) => {
        const refused = await refusal(quote(asking("source", 5n)), "least");
        assert.equal(refused[0], "amount-out-of-range");
        const least = refused[1] as bigint;
        assert.equal((await quote(asking("source", least))).target.amount, 1n);
        assert.equal((await refusal(quote(asking("source", least - 1n))))[0], "amount-out-of-range");
      },
      { pairs: [{ ...deskSettings.pairs[0], least: "1", fixedFee: "1000000" }] },
    ),
  );

  it(
    "names the side from which on it does not know a pair",
    inWorld(async ({ quote, request }) => {
      const eth = { type: "native" };
      const cases: [string, object, string, object, string][] = [
        ["beta", eth, "alpha", eth, "source.asset"],
        ["alpha", usd, "beta", usd, "source.asset"],
        ["alpha", eth, "beta", eth, "target.asset"],
        ["alpha", eth, "gamma", usd, "target.asset"],
      ];
      for (const [from, asset, to, wanted, field] of cases) {
        const legs = { source: { chain: from, asset, amount: "1" }, target: { chain: to, asset: wanted } };
        assert.deepEqual(await refusal(quote(legs), "field"), ["pair-unknown", field]);
        const whole = { ...offering(1n, 1n), ...legs, target: { ...legs.target, amount: "1" } };
        assert.deepEqual(await refusal(request(whole), "field"), ["pair-unknown", field]);
      }
    }),
  );

  it(
    "gives no more than it holds less what it keeps back, promised and needs for gas",
    inWorld(
      async ({ quote, request, purses }) => {
        purses.beta.tokens = 10_000n * dollar;
        await request(offering(2n * coin, 4_000n * dollar));
        assert.deepEqual(await refusal(quote(asking("target", 5_000n * dollar + 1n)), "field", "available"), [
          ...["inventory-insufficient", "target.amount", 5_000n * dollar],
        ]);
        await quote(asking("target", 5_000n * dollar));
        purses.beta.coin = 999_999n;
        assert.deepEqual(await refusal(quote(asking("target", dollar * 10n)), "field"), [
          ...["inventory-insufficient", "target.chain"],
        ]);
        purses.beta.coin = coin;
        purses.alpha.coin = 999_999n;
        assert.deepEqual(await refusal(quote(asking("target", dollar * 10n)), "field"), [
          ...["inventory-insufficient", "source.chain"],
        ]);
      },
      { assets: { ...deskSettings.assets, usd: { ...deskSettings.assets.usd, leastInventory: "1000000000" } } },
    ),
  );

  it(
    "keeps the coin for its gas when the coin is what it gives",
    inWorld(async ({ quote, purses }) => {
      // Its lock, and the refund of that at ten times the price of now.
      purses.alpha.coin = coin + 300_000n + 10n * 300_000n;
      const wanting = (amount: bigint) => ({
        source: { chain: "beta", asset: usd },
        target: { chain: "alpha", asset: { type: "native" }, amount: amount.toString() },
      });
      assert.equal((await quote(wanting(coin))).source.amount, 2_507_522_568n);
      assert.deepEqual(await refusal(quote(wanting(coin + 1n)), "available"), ["inventory-insufficient", coin]);
    }),
  );

  it(
    "makes a swap with the amounts of a quote, and writes which",
    inWorld(async ({ quote, request, requested, ids }) => {
      const { quote: id } = await quote(asking("source", coin));
      const {
        source,
        target,
        counterparty,
        quote: nonce,
      } = await requested(await request({ quote: id, initiator: { account: "alice" } }));
      assert.deepEqual([source.amount, target.amount], [coin, 2_492_500_000n]);
      assert.equal("account" in counterparty && counterparty.account, "desk");
      assert.equal(nonce, ids.read(id).nonce);
      assert.ok(!id.includes(nonce ?? "?"));
    }),
  );

  it(
    "takes terms beside a quote only where they are those of the quote",
    inWorld(async ({ quote, request }) => {
      const { quote: id } = await quote(asking("source", coin));
      const same = { ...offering(coin, 2_492_500_000n), quote: id };
      const cases: [object, string][] = [
        [{ ...same, source: { ...same.source, amount: "1" } }, "source.amount"],
        [{ ...same, source: { ...same.source, chain: "gamma" } }, "source.chain"],
        [{ ...same, target: { ...same.target, amount: "2492500001" } }, "target.amount"],
        [{ ...same, target: { ...same.target, asset: { type: "native" } } }, "target.asset"],
        [{ ...same, counterparty: { account: "bob" } }, "counterparty"],
        [{ ...same, timelocks: { source: 900, target: 400 } }, "timelocks"],
        [{ ...same, minimum: "2492500001" }, "minimum"],
        [{ ...offering(coin, 1n), source: undefined }, "source"],
        [{ ...offering(coin, 1n), target: undefined }, "target"],
        [{ ...offering(coin, 1n), counterparty: undefined }, "counterparty"],
        [{ ...offering(coin, 1n), counterparty: { account: "bob" }, minimum: "1" }, "minimum"],
      ];
      for (const [body, field] of cases)
        assert.deepEqual(await refusal(request(body), "field"), ["request-invalid", field]);
      await request(same);
    }),
  );

  it(
    "takes a quote until it expires, and not when it does",
    inWorld(async ({ quote, request, clock }) => {
      const ids = await Promise.all([1, 2].map(async () => (await quote(asking("source", coin))).quote));
      const initiator = { account: "alice" };
      clock.ms = 529_999;
      await request({ quote: ids[0], initiator });
      clock.ms = 530_000;
      assert.deepEqual(await refusal(request({ quote: ids[1], initiator }), "field", "expiresAt"), [
        ...["quote-expired", "quote", 530n],
      ]);
    }),
  );

  it(
    "refuses a quote of another desk, and one for contracts that are not there any more",
    inWorld(async ({ quote, request, ids }) => {
      const { version: _v, nonce: _n, ...terms } = ids.read((await quote(asking("source", coin))).quote);
      const initiator = { account: "alice" };
      const others = [
        { ...terms, account: "bob" },
        { ...terms, address: usd.address },
        { ...terms, target: { ...terms.target, chainId: 3 } },
        { ...terms, source: { ...terms.source, contract: usd.address } },
      ];
      for (const other of others)
        assert.deepEqual(await refusal(request({ quote: ids.issue(other), initiator })), ["quote-invalid"]);
      await request({ quote: ids.issue(terms), initiator });
    }),
  );

  it(
    "asks the price again when a quote is redeemed, and bears so much of its move",
    inWorld(
      async ({ quote, request, market, requested }) => {
        const initiator = { account: "alice" };
        const ids = await Promise.all([1, 2, 3].map(async () => (await quote(asking("source", coin))).quote));
        market.price = 2_475n; // 1.01 % worse for the desk
        assert.deepEqual(
          await refusal(request({ quote: ids[0], initiator }), "field", "wanted", "now", "slippageBps"),
          [...["price-moved", "quote", 2_492_500_000n, 2_467_575_000n, 100]],
        );
        const settled = await requested(await request({ quote: ids[0], initiator, minimum: "2467575000" }));
        assert.equal(settled.target.amount, 2_467_575_000n);
        assert.deepEqual(await refusal(request({ quote: ids[1], initiator, minimum: "2467575001" })), ["price-moved"]);
        market.price = 2_476n;
        assert.equal((await requested(await request({ quote: ids[1], initiator }))).target.amount, 2_492_500_000n);
        market.price = 3_000n;
        assert.equal((await requested(await request({ quote: ids[2], initiator }))).target.amount, 2_492_500_000n);
      },
      { slippageBps: 100 },
    ),
  );

  it(
    "gives who comes without a quote the present price and not a unit more",
    inWorld(
      async ({ request, requested, market }) => {
        await request(offering(coin, 2_492_500_000n));
        assert.deepEqual(await refusal(request(offering(coin, 2_492_500_001n)), "field", "now"), [
          ...["price-moved", "target.amount", 2_492_500_000n],
        ]);
        market.price = 2_400n;
        const body = { ...offering(coin, 2_492_500_000n), minimum: "2392800000" };
        assert.equal((await requested(await request(body))).target.amount, 2_392_800_000n);
        market.price = undefined;
        assert.deepEqual(await refusal(request(body)), ["price-unavailable"]);
      },
      { slippageBps: 100 },
    ),
  );

  it(
    "has no say in swaps between others",
    inWorld(async ({ request, market }) => {
      market.price = undefined;
      await request({ ...offering(coin, 10n ** 12n), counterparty: { account: "bob" } });
      await request({ ...offering(coin, dollar, "desk"), counterparty: { account: "bob" } });
    }),
  );

  it(
    "quotes and trades nothing on a chain that is paused",
    inWorld(async ({ quote, request, states, describe }) => {
      const { quote: id } = await quote(asking("source", coin));
      states.alpha = "paused";
      assert.deepEqual(await refusal(quote(asking("source", coin)), "field"), ["chain-paused", "source.chain"]);
      assert.deepEqual(await refusal(request({ quote: id, initiator: { account: "alice" } })), ["chain-paused"]);
      assert.equal((await describe()).pairs[0]?.target.available, 0n);
    }),
  );

  it(
    "says what it trades, and why it does not",
    inWorld(
      async ({ describe, market, request, beta }) => {
        await request(offering(coin, 2_000n * dollar));
        const { pairs, open, mostOpen } = await describe();
        assert.deepEqual([open, mostOpen, pairs.length], [1, 100, 2]);
        assert.equal(pairs[0]?.target.available, 1_000n * dollar);
        assert.equal(pairs[1]?.target.available, 100n * coin - 3_300_000n - 3_000_000n);
        assert.equal(pairs[0]?.reason, undefined);
        market.price = undefined;
        assert.equal((await describe()).pairs[0]?.reason, "price-unavailable");
        market.price = 1n;
        Object.assign(beta, { account: () => refusedToAnswer() });
        const [first] = (await describe()).pairs;
        assert.deepEqual([first?.reason, first?.target.available], ["chain-unreachable", undefined]);
      },
      { assets: { ...deskSettings.assets, usd: { ...deskSettings.assets.usd, mostCommitted: "3000000000" } } },
    ),
  );
});

async function refusedToAnswer(): Promise<never> {
  throw new LockstepError("chain-unreachable", "nobody answers");
}
