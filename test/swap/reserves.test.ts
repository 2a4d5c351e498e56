import assert from "node:assert/strict";
import { it } from "node:test";
import { currentlyTracked, runTracked } from "#core/observe/tracking.ts";
import type { Sender } from "#core/sender/sender.ts";
import { createSwapDriver } from "#swap/driver.ts";
import { type LegName, type SwapEvent, swapStream } from "#swap/events.ts";
import { createSwapGuards } from "#swap/guards.ts";
import { lockIdOf } from "#swap/legCalls.ts";
import { createReserves } from "#swap/reserves.ts";
import { foldSwap } from "#swap/swap.ts";
import { onDatabase, quietLog, withDatabase } from "#test/support/databases.ts";
import {
  claimed,
  claimFinal,
  detected,
  failed,
  givenUp,
  hexOf,
  legTerms,
  locked,
  refunded,
  refundFinal,
  reorged,
  requested,
  requestedBy,
  started,
} from "#test/swap/samples.ts";
import { swapWorld } from "#test/swap/support.ts";

/** Wei that one claim or refund is provided for at one wei a gas, and that one lock takes. */
const closing = 300_000n * 10n;
const locking = 300_000n;

const addresses: Record<string, `0x${string}`> = { alice: hexOf("a", 20), bob: hexOf("b", 20), carol: hexOf("e", 20) };
const address = (name: string) => addresses[name] ?? hexOf("0", 20);

await onDatabase("the coin kept for claims and refunds", (backend) => {
  const inWorld = (work: (world: Awaited<ReturnType<typeof openWorld>>) => Promise<void>) => () =>
    withDatabase(backend, async (database) => work(await openWorld(database)));

  async function openWorld(database: Parameters<typeof swapWorld>[0]) {
    const world = await swapWorld(database);
    const { store, db, alpha, beta } = world;
    const reserves = createReserves({ ...world, keyStore: { address } });
    const guards = createSwapGuards({ ...world, reserves });
    const load = (id: string) => store.load<SwapEvent>(db, swapStream(id));
    /** Another swap of the same parties and amounts. */
    const add = async (id: string, ...events: SwapEvent[]) => {
      const before = await load(id);
      await db.tx((tx) => store.append(tx, [{ stream: swapStream(id), expected: before.length, events }]));
    };
    const kept = (chain: "alpha" | "beta", account: string) => {
      const at = { ...world.chains.get(chain) };
      return reserves.kept(db, { at, account, maxFeePerGas: world[chain].maxFeePerGas });
    };
    const ask = async (kind: "swap.lock-source" | "swap.lock-target" | "swap.claim-target", id = "1") => {
      const verdict = await guards[kind]?.({ id: "intent", kind, subject: swapStream(id) });
      assert.ok(verdict);
      return verdict.send ? "send" : verdict.detail;
    };
    const hold = async (id: string) => {
      const swap = foldSwap(await load(id));
      assert.ok(swap);
      return reserves.holdOn(swap);
    };
    alpha.balance = beta.balance = 10n ** 18n;
    return { ...world, reserves, add, kept, ask, hold };
  }

  it(
    "is asked for once by all swaps that are about to lock at once, and each time anew",
    inWorld(async ({ alpha, beta, hold }) => {
      const askedFor: unknown[] = [];
      const { account } = alpha;
      alpha.account = (...args: Parameters<typeof account>) => {
        askedFor.push(currentlyTracked());
        return account(...args);
      };
      const holdOnOne = () => runTracked({ tracking: "swap-1" }, () => hold("1"));
      assert.deepEqual(await Promise.all(Array.from({ length: 20 }, holdOnOne)), Array(20).fill(undefined));
      assert.deepEqual(askedFor, [undefined], "and is the work of none of them");
      alpha.balance = beta.balance = 0n;
      assert.equal((await hold("1"))?.code, "reserve-short");
    }),
  );

  it(
    "is summed over all open swaps, and given back leg by leg as ends are seen, and taken again when they are not",
    inWorld(async ({ kept, add, append }) => {
      assert.equal(await kept("alpha", "bob"), closing);
      const token = { type: "erc20", address: hexOf("d", 20) } as const;
      await add("2", withAsset("2", token));
      assert.equal(await kept("alpha", "bob"), 2n * closing);
      assert.equal(await kept("alpha", "alice"), 2n * (closing + locking), "its own locks are not made yet");
      assert.equal(await kept("alpha", "carol"), 0n);
      await append(started("lock-source"), detected("source"), locked("source"));
      assert.equal(await kept("alpha", "alice"), 2n * closing + locking);
      await append(claimed("source"));
      assert.equal(await kept("alpha", "bob"), closing);
      await append(reorged("source", "claim"));
      assert.equal(await kept("alpha", "bob"), 2n * closing);
      await add("2", givenUp);
      assert.equal(await kept("alpha", "bob"), closing, "nothing was locked of what is given up");
      await append(
        claimed("source"),
        claimFinal("source"),
        detected("target"),
        refunded("target"),
        refundFinal("target"),
      );
      assert.equal(await kept("alpha", "bob"), 0n);
    }),
  );

  it(
    "counts what an account closes for external parties",
    inWorld(async ({ kept, add }) => {
      const before = await kept("alpha", "bob");
      await add("2", withAsset("2", { type: "native" }, requestedBy("initiator")));
      assert.equal(await kept("alpha", "bob"), before + closing + locking, "claim or refund, whichever is needed");
    }),
  );

  it(
    "never exceeds what a transaction may offer",
    inWorld(async ({ reserves, chains, alpha }) => {
      const at = { ...chains.get("alpha"), highestFee: () => 7n };
      alpha.maxFeePerGas = 100n;
      const what = { leg: "source", claims: true, asset: { type: "native" }, amount: 10n ** 18n } as const;
      assert.equal(reserves.closing({ at, maxFeePerGas: 100n }, what), 300_000n * 7n);
    }),
  );

  for (const chain of ["alpha", "beta"] as const) {
    it(
      `keeps a counter-lock from being made in a fee spike of ${chain}, to the wei`,
      inWorld(async ({ ask, append, add, hold, ...world }) => {
        const token = { type: "erc20", address: hexOf("d", 20) } as const;
        await append(started("lock-source"), detected("source"), locked("source"), started("lock-target"));
        await add("2", withAsset("2", token), started("lock-target"), detected("target"));
        assert.equal(await ask("swap.lock-target"), "send");
        world[chain].maxFeePerGas = 50n;
        // Of bob: on alpha the claims of both swaps, on beta the lock (5 wei and its gas) and the refunds of both.
        const [claims, refunds] = [50n * 2n * closing, 5n + 50n * (2n * closing + locking)];
        world[chain].balance = chain === "alpha" ? claims : refunds;
        assert.equal(await ask("swap.lock-target"), "send");
        world[chain].balance -= 1n;
        assert.match(
          await ask("swap.lock-target"),
          new RegExp(`^reserve-short: bob has \\d+ wei on ${chain}; .* of 2 open`),
        );
        await append(failed("lock-target", 501n));
        assert.equal((await hold("1"))?.code, "reserve-short");
      }),
    );
  }

  it(
    "keeps a source lock from being made that could not be refunded, and lets the reveal go all the same",
    inWorld(async ({ ask, append, alpha, beta, hold }) => {
      alpha.balance = 5n + locking + closing;
      beta.balance = closing;
      assert.equal(await ask("swap.lock-source"), "send");
      alpha.balance -= 1n;
      assert.match(await ask("swap.lock-source"), /^reserve-short: alice has 3300004 wei on alpha; 5 are to be locked/);
      assert.match((await hold("1"))?.detail ?? "", /alice has 3300004 wei on alpha/);
      const bothLocked = [detected("source"), locked("source"), detected("target"), locked("target")];
      await append(...bothLocked);
      alpha.balance = beta.balance = 0n;
      assert.equal(await ask("swap.claim-target"), "send");
    }),
  );

  it(
    "lets swaps go in the order of their requests as far as it lasts, and holds the others, without a transaction",
    inWorld(async ({ add, hold, alpha, ...world }) => {
      for (const id of ["2", "3"]) await add(id, withAsset(id, { type: "native" }));
      alpha.balance = 2n * (5n + locking + closing);
      assert.equal(await hold("1"), undefined);
      assert.equal(await hold("2"), undefined);
      assert.equal((await hold("3"))?.code, "reserve-short");
      const asked: string[] = [];
      const sender: Sender = {
        submit: async (_tx, intents) => void asked.push(...intents.map(({ subject }) => subject)),
        find: async () => undefined,
        findByTransactions: async () => new Map(),
      };
      const driver = createSwapDriver({ ...world, sender, holdOf: (swap) => hold(swap.id), log: quietLog });
      await driver.advance("3");
      assert.deepEqual(asked, []);
      await driver.advance("1");
      assert.deepEqual(asked, ["swap-1"]);
      await add("1", givenUp);
      await driver.advance("3");
      assert.deepEqual(asked, ["swap-1"], "its lock is under way, and may still be mined");
      await add("1", failed("lock-source", 501n));
      await driver.advance("3");
      assert.deepEqual(asked, ["swap-1", "swap-3"], "what the first one needs no more");
    }),
  );

  it(
    "counts a lock that is in a younger block than the balance, and no lock twice",
    inWorld(async ({ ask, append, alpha, add }) => {
      const lockedAt = (blockNumber: bigint): SwapEvent => {
        const event = detected("source");
        return { ...event, data: { ...event.data, blockNumber } } as SwapEvent;
      };
      await add("2", withAsset("2", { type: "native" }), started("lock-source"), lockedAt(51n));
      alpha.balance = 5n + 5n + locking + 2n * closing;
      assert.equal(await ask("swap.lock-source"), "send");
      alpha.balance -= 1n;
      assert.match(await ask("swap.lock-source"), /10 are to be locked/);
      await add("2", reorged("source", "lock"), lockedAt(50n));
      assert.equal(await ask("swap.lock-source"), "send");
      await append(givenUp);
    }),
  );
});

/** As `requested`, under another id: the parties and amounts are the same, the lock ids are not. */
function withAsset(
  id: string,
  asset: { type: "native" } | { type: "erc20"; address: `0x${string}` },
  base = requested,
) {
  if (base.type !== "SwapRequested") throw new Error("it is the first event");
  const hashlock = hexOf(id);
  const leg = (name: LegName) => {
    const terms = { ...legTerms[name], asset };
    return { ...terms, lockId: lockIdOf(terms, hashlock) };
  };
  const event: SwapEvent = {
    type: "SwapRequested",
    data: { ...base.data, hashlock, source: leg("source"), target: leg("target") },
  };
  return event;
}
