import assert from "node:assert/strict";
import { it } from "node:test";
import fc from "fast-check";
import type { Queryable } from "#core/db/db.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { type SwapEvent, swapStream } from "#swap/events.ts";
import { lockIdOf } from "#swap/legCalls.ts";
import { createPromiseBook, type Demand, type PromiseBook } from "#swap/promiseBook.ts";
import { lockPromises, promisedAmounts } from "#swap/promises.ts";
import { createReserves } from "#swap/reserves.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import { deskWorld, usd } from "./quotes/deskWorld.ts";
import { detected, givenUp, hexOf, legTerms, requested, started } from "./samples.ts";
import { swapWorld } from "./support.ts";

const { chain, sender: account } = legTerms.source;
const asset = { type: "native" } as const;
/** Wei of one lock, and of one claim or refund, at one wei a gas. */
const gas = 300_000n;

/** The sample's swap again; `paid`: of two external parties, for whom the account pays the gas. */
function swapOver(amount: bigint, number: number, { paid = false } = {}): SwapEvent {
  if (requested.type !== "SwapRequested") throw new Error("it is the first event");
  const hashlock = hexOf(number.toString(16).padStart(4, "0"), 8);
  const leg = (name: "source" | "target") => {
    const terms = { ...legTerms[name], amount };
    return { ...terms, lockId: lockIdOf(terms, hashlock) };
  };
  const [one, other] = [hexOf("d", 20), hexOf("e", 20)];
  const parties = { initiator: { source: one, target: one }, counterparty: { source: other, target: other } };
  const legs = { source: leg("source"), target: leg("target") };
  const others = paid && {
    ...{ ...parties, payer: "alice" },
    source: { ...legs.source, sender: one, recipient: other },
    target: { ...legs.target, sender: other, recipient: one },
  };
  return { type: "SwapRequested", data: { ...requested.data, hashlock, ...legs, ...others } };
}

type Open = { readonly id: string; readonly amount: bigint };

/** An account whose balance changes with blocks, and several processes that promise of it. */
async function createAccount(world: Awaited<ReturnType<typeof swapWorld>>, balance: bigint) {
  const { db, store, chains } = world;
  const reserves = createReserves({ db, chains, keyStore: { address: () => account }, feeHeadroom: 1 });
  const kept = (from: Queryable) => reserves.kept(from, { at: chains.get(chain), account: "alice", maxFeePerGas: 1n });
  const clock = { ms: 0, now: () => clock.ms, sleep: async () => undefined };
  const books = [createPromiseBook({ clock }), createPromiseBook({ clock })];
  const balances = [balance];
  let open: Open[] = [{ id: "1", amount: legTerms.source.amount }];
  let made = 1;
  const append = (id: string, ...events: readonly SwapEvent[]) =>
    db.tx((tx) => store.append(tx, [{ stream: swapStream(id), expected: "any", events }]));
  const head = () => balances.length - 1;

  async function write(process: number, demand: Demand, event: SwapEvent): Promise<string> {
    const id = String(made + 1);
    await db.tx(async (tx) => {
      await lockPromises(tx);
      const promised = await (books[process] as PromiseBook).promise(tx, [demand]);
      const stored = await store.append(tx, [{ stream: swapStream(id), expected: 0, events: [event] }]);
      tx.afterCommit(() => promised(stored.at(-1)?.position ?? 0n));
    });
    made += 1;
    return id;
  }

  return {
    clock,
    /** What is left of the balance once all that is open is locked. */
    left: () => (balances.at(-1) ?? 0n) - open.reduce((sum, { amount }) => sum + amount, 0n),
    /** True when the next swap of it is taken; fails when all sums made anew would have decided otherwise. `ago`: blocks. */
    async promise(process: number, { amount, ago }: { amount: bigint; ago: number }): Promise<boolean> {
      const asOf = Math.max(head() - ago, 0);
      const held = balances[asOf] ?? 0n;
      const needed = amount + 2n * gas;
      const want = { field: "source.amount", chain, account, asset, asOf: BigInt(asOf), held, needed, kept };
      const exact = ([...(await promisedAmounts(db, [want])).values()][0] ?? 0n) + (await kept(db));
      try {
        const id = await write(process, { wants: [want], payerGas: [] }, swapOver(amount, made + 1));
        open.push({ id, amount });
      } catch (error) {
        if (!isLockstepError(error, "balance-insufficient")) throw error;
        assert.ok(held - exact < needed, `refused ${needed} of ${held}, of which ${exact} is promised`);
        return false;
      }
      assert.ok(held - exact >= needed, `took ${needed} of ${held}, of which ${exact} is promised`);
      return true;
    },
    /** A swap of others, of which it may have to send the lock and the claim. */
    async pay(process: number): Promise<void> {
      const payerGas = [{ chain, account, needed: 3n * gas }];
      await write(process, { wants: [], payerGas }, swapOver(1n, made + 1, { paid: true }));
    },
    earn: (amount: bigint) => balances.push((balances.at(-1) ?? 0n) + amount),
    /** Locks what was promised first. */
    async lock(): Promise<void> {
      const [first, ...others] = open;
      if (!first) return;
      const seen = detected("source");
      if (seen.type !== "LegDetected") throw new Error("it is what a lock looks like");
      balances.push((balances.at(-1) ?? 0n) - first.amount);
      await append(first.id, started("lock-source"), {
        ...seen,
        data: { ...seen.data, blockNumber: BigInt(head()) },
      });
      open = others;
    },
    async giveUp(): Promise<void> {
      const [first, ...others] = open;
      if (!first) return;
      await append(first.id, givenUp);
      open = others;
    },
  };
}

await onDatabase("what is promised of balances, from one request to the next", (backend) => {
  it("is never more than there is, and nothing is refused that there is, whoever promises and whatever happens between", () =>
    withDatabase(backend, async (database) => {
      const world = await swapWorld(database);
      const one = await createAccount(world, 10_000_000n);
      const counts = { taken: 0, refused: 0 };
      const amounts = fc.bigInt({ min: 1n, max: 1_000_000n });
      const processes = fc.constantFrom(0, 0, 0, 1);
      const action = fc.oneof(
        { weight: 6, arbitrary: fc.tuple(processes, amounts, fc.nat(2)).map((given) => ({ given })) },
        { weight: 2, arbitrary: processes.map((paid) => ({ paid })) },
        {
          weight: 3,
          arbitrary: fc.constantFrom("lock" as const, "giveUp" as const, "time" as const, "income" as const),
        },
      );
      const property = fc.asyncProperty(fc.array(action, { minLength: 5, maxLength: 20 }), async (actions) => {
        for (const each of actions) {
          if (each === "time") one.clock.ms += 600;
          else if (each === "income") one.earn(2_500_000n);
          else if (each === "lock" || each === "giveUp") await one[each]();
          else if ("paid" in each) await one.pay(each.paid);
          else {
            const [process, amount, ago] = each.given;
            counts[(await one.promise(process, { amount, ago })) ? "taken" : "refused"] += 1;
          }
          assert.ok(one.left() >= 0n, "more is promised than there is");
        }
      });
      await fc.assert(property, { numRuns: 25 });
      assert.ok(counts.taken > 10 && counts.refused > 5, `too little happened: ${JSON.stringify(counts)}`);
    }));

  it("is not added up again while nobody else promises anything", () =>
    withDatabase(backend, async (database) => {
      const { db, store } = await swapWorld(database);
      const clock = { ms: 0, now: () => clock.ms, sleep: async () => undefined };
      const book = createPromiseBook({ clock });
      let sums = 0;
      const kept = async () => {
        sums += 1;
        return 0n;
      };
      const promise = (number: number) =>
        db.tx(async (tx) => {
          const want = { field: "source.amount", chain, account, asset, asOf: 0n, held: 1_000n, needed: 5n, kept };
          const promised = await book.promise(tx, [{ wants: [want], payerGas: [] }]);
          const append = { stream: swapStream(String(number)), expected: 0, events: [swapOver(5n, number)] };
          const stored = await store.append(tx, [append]);
          tx.afterCommit(() => promised(stored.at(-1)?.position ?? 0n));
        });
      for (const number of [2, 3, 4]) await promise(number);
      assert.equal(sums, 1);
      clock.ms += 1_000;
      for (const number of [5, 6]) await promise(number);
      assert.equal(sums, 2, "after a second it is looked at again");
      clock.ms -= 60_000;
      for (const number of [7, 8]) await promise(number);
      assert.equal(sums, 3, "and when the clock was set back, since nobody knows how old it is");
    }));

  it("counts what an account pays for others of those that are written at once", () =>
    withDatabase(backend, async (database) => {
      const { db } = await swapWorld(database);
      const book = createPromiseBook({ clock: { now: () => 0, sleep: async () => undefined } });
      const want = { field: "source.amount", chain, account, asset, asOf: 0n, held: 1_000n, needed: 5n };
      const promise = (wei: bigint) => {
        const paid = { wants: [], payerGas: [{ chain, account, needed: wei }] };
        return db.tx((tx) => book.promise(tx, [paid, paid, { wants: [want], payerGas: [] }]));
      };
      await promise(495n);
      await assert.rejects(promise(496n), { code: "balance-insufficient" });
    }));

  it("is what external parties of the swaps before may leave to be paid for, too", () =>
    withDatabase(backend, async (database) => {
      const { purses, request } = await deskWorld(database);
      const leg = (name: string, type: object) => ({ chain: name, asset: type, amount: "1000" });
      const terms = { source: leg("alpha", asset), target: leg("beta", usd), initiator: { account: "desk" } };
      const eve = { source: hexOf("e", 20), target: hexOf("f", 20) };
      // One lock and one claim of the swap with somebody external, and one claim of the other.
      const enough = gas + 2n * 10n * gas;
      purses.beta.coin = enough - 1n;
      await request({ ...terms, counterparty: eve });
      const managed = { ...terms, counterparty: { account: "bob" } };
      await assert.rejects(request(managed), { code: "balance-insufficient" });
      purses.beta.coin = enough;
      await request(managed);
    }));
});
