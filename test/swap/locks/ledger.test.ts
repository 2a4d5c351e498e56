import assert from "node:assert/strict";
import { it } from "node:test";
import type { IndexedBlock } from "#core/indexer/observer.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { createLockLedger } from "#swap/locks/ledger.ts";
import { hashlockSeen, leavesOf, listLocks, locksById, openLocksOf, publishedSecret } from "#swap/locks/queries.ts";
import { idOf } from "#swap/protocol/anyLock.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import {
  batchOf,
  blockOf,
  claimLog,
  hashlock,
  item,
  itemTerms,
  lockLog,
  payment,
  paymentTerms,
  placeOf,
  refundLog,
} from "#test/swap/locks/samples.ts";
import { hexOf, secret } from "#test/swap/samples.ts";
import { swapWorld } from "#test/swap/support.ts";

const paid = payment();
const paidId = idOf(placeOf("alpha"), paid);
const itemId = idOf(placeOf("alpha"), item);
const entry = { recipient: paymentTerms.recipient, amount: 1n, hashlock, timelock: 1_000n };
const otherSecret = hexOf("3");
const other = { ...entry, hashlock: hashlockOf(otherSecret) };

await onDatabase("the lock ledger", (backend) => {
  const inWorld = (work: (world: Awaited<ReturnType<typeof openWorld>>) => Promise<void>) => () =>
    withDatabase(backend, async (database) => work(await openWorld(database)));

  async function openWorld(database: Parameters<typeof swapWorld>[0]) {
    const world = await swapWorld(database);
    const ledger = createLockLedger(world);
    const { db } = world;
    const states = async (chain: string, id: Hex) =>
      (await locksById(db, chain, id)).map(({ seen, end }) => `${seen.blockNumber}:${end?.kind ?? "open"}`);
    return {
      db,
      ledger,
      states,
      include: (chain: string, ...blocks: IndexedBlock[]) => db.tx((tx) => ledger.included(tx, chain, blocks)),
      reorg: (chain: string, ancestor: bigint, deep = false) =>
        db.tx((tx) => ledger.reorged(tx, chain, ancestor, deep)),
      finalize: (chain: string, height: bigint) => db.tx((tx) => ledger.finalized(tx, chain, height)),
    };
  }

  it(
    "records payments and items with their terms, and what ended them",
    inWorld(async ({ db, include, finalize }) => {
      await include("alpha", blockOf(10n, [lockLog("alpha", paid), lockLog("alpha", item)]));
      await finalize("alpha", 10n);
      await include("alpha", blockOf(11n, [claimLog(paidId)]), blockOf(12n, [refundLog(itemId)]));
      const [first] = await locksById(db, "alpha", paidId);
      assert.deepEqual(first?.lock, { kind: "payment", terms: paymentTerms });
      assert.deepEqual([first?.seen.final, first?.end?.kind, first?.end?.secret], [true, "claimed", secret]);
      assert.equal(first?.end?.final, false);
      const [second] = await locksById(db, "alpha", itemId);
      assert.deepEqual(second?.lock, { kind: "item", terms: itemTerms });
      assert.deepEqual([second?.end?.kind, second?.end?.secret], ["refunded", undefined]);
      await finalize("alpha", 11n);
      assert.equal((await locksById(db, "alpha", paidId))[0]?.end?.final, true);
      assert.equal((await locksById(db, "alpha", itemId))[0]?.end?.final, false);
    }),
  );

  it(
    "records each entry of a batch, with the leaves that its proof needs in their order",
    inWorld(async ({ db, include, states }) => {
      const batch = batchOf("alpha", [entry, other, entry]);
      await include("alpha", blockOf(10n, [batch.log]));
      const [, second] = batch.ids;
      const [found] = await locksById(db, "alpha", second ?? "0x");
      assert.deepEqual(found?.lock.kind === "leaf" && [found.lock.index, found.lock.root], [1, batch.root]);
      assert.equal(found?.lock.terms.tip, 1n);
      assert.deepEqual(await leavesOf(db, "alpha", batch.root), batch.ids);
      await include("alpha", blockOf(11n, [claimLog(second ?? "0x", otherSecret)]));
      assert.deepEqual(await Promise.all(batch.ids.map((id) => states("alpha", id))), [
        ["10:open"],
        ["10:claimed"],
        ["10:open"],
      ]);
    }),
  );

  it(
    "keeps what it is shown twice once",
    inWorld(async ({ db, include, states }) => {
      const batch = batchOf("alpha", [entry, other]);
      for (let i = 0; i < 2; i++) {
        await include("alpha", blockOf(10n, [lockLog("alpha", paid), batch.log]), blockOf(11n, [refundLog(paidId)]));
      }
      assert.deepEqual(await states("alpha", paidId), ["10:refunded"]);
      assert.equal((await listLocks(db, {}, undefined, 10)).length, 3);
    }),
  );

  it(
    "takes back what a reorganisation removed, also when it was final",
    inWorld(async ({ db, include, finalize, reorg, states }) => {
      await include("alpha", blockOf(10n, [lockLog("alpha", paid)]), blockOf(12n, [claimLog(paidId)]));
      await finalize("alpha", 12n);
      await reorg("alpha", 11n, true);
      assert.deepEqual(await states("alpha", paidId), ["10:open"]);
      await include("alpha", blockOf(12n, [refundLog(paidId)], "b"));
      assert.deepEqual(await states("alpha", paidId), ["10:refunded"]);
      assert.equal((await locksById(db, "alpha", paidId))[0]?.end?.final, false, "the new block 12 is not final");
      await reorg("alpha", 9n, true);
      assert.deepEqual(await states("alpha", paidId), []);
      await include("alpha", blockOf(11n, [lockLog("alpha", paid)], "b"));
      assert.deepEqual(await states("alpha", paidId), ["11:open"]);
    }),
  );

  it(
    "leaves the other chain alone in a reorganisation",
    inWorld(async ({ include, reorg, states }) => {
      await include("beta", blockOf(10n, [lockLog("beta", paid)]));
      await reorg("alpha", 0n);
      assert.deepEqual(await states("beta", idOf(placeOf("beta"), paid)), ["10:open"]);
    }),
  );

  it(
    "never forgets a hashlock or a secret, and finds them on any chain",
    inWorld(async ({ db, include, reorg }) => {
      assert.equal(await hashlockSeen(db, hashlock), false);
      await include("beta", blockOf(10n, [lockLog("beta", paid)]));
      assert.deepEqual([await hashlockSeen(db, hashlock), await publishedSecret(db, hashlock)], [true, undefined]);
      await include("beta", blockOf(11n, [claimLog(idOf(placeOf("beta"), paid))]));
      assert.equal(await publishedSecret(db, hashlock), secret);
      await reorg("beta", 5n);
      assert.deepEqual([await hashlockSeen(db, hashlock), await publishedSecret(db, hashlock)], [true, secret]);
      await include("alpha", blockOf(3n, [lockLog("alpha", paid)]));
      assert.equal(await publishedSecret(db, hashlock), secret);
    }),
  );

  it(
    "does not hand out a secret that does not fit, whatever the table says",
    inWorld(async ({ db }) => {
      await db.query("insert into lock_hashlocks values ($1, $2)", [hashlock, otherSecret]);
      assert.equal(await publishedSecret(db, hashlock), undefined);
    }),
  );

  it(
    "tells locks of the same terms apart that were made one after the other",
    inWorld(async ({ include, states, reorg }) => {
      await include("alpha", blockOf(10n, [lockLog("alpha", paid), claimLog(paidId), lockLog("alpha", paid)]));
      assert.deepEqual(await states("alpha", paidId), ["10:open", "10:claimed"]);
      await include("alpha", blockOf(12n, [refundLog(paidId)]));
      assert.deepEqual(await states("alpha", paidId), ["10:refunded", "10:claimed"]);
      await reorg("alpha", 11n);
      assert.deepEqual(await states("alpha", paidId), ["10:open", "10:claimed"]);
    }),
  );

  it(
    "counts a leaf that is open in two batches twice",
    inWorld(async ({ include, states }) => {
      const [one, two] = [batchOf("alpha", [entry, other]), batchOf("alpha", [entry, entry])];
      const [id = "0x"] = one.ids;
      assert.equal(two.ids[0], id);
      await include("alpha", blockOf(10n, [one.log]), blockOf(11n, [two.log]), blockOf(12n, [claimLog(id)]));
      assert.deepEqual((await states("alpha", id)).toSorted(), ["10:open", "11:claimed"]);
      await include("alpha", blockOf(13n, [claimLog(id)]));
      assert.deepEqual(await states("alpha", id), ["11:claimed", "10:claimed"]);
    }),
  );

  it(
    "gets right later what was hidden at first: a lock behind its end, and what lies between two locks",
    inWorld(async ({ include, states }) => {
      await include("alpha", blockOf(11n, [refundLog(paidId)]));
      await include("alpha", blockOf(20n, [lockLog("alpha", paid)]));
      assert.deepEqual(await states("alpha", paidId), ["20:open"]);
      await include("alpha", blockOf(10n, [lockLog("alpha", paid)]));
      assert.deepEqual(await states("alpha", paidId), ["20:open", "10:refunded"]);
      await include("alpha", blockOf(21n, [claimLog(paidId)]), blockOf(30n, [lockLog("alpha", paid)]));
      await include("alpha", blockOf(15n, [lockLog("alpha", paid)]), blockOf(16n, [refundLog(paidId)]));
      assert.deepEqual(await states("alpha", paidId), ["30:open", "20:claimed", "15:refunded", "10:refunded"]);
    }),
  );

  it(
    "takes nothing of an answer with an id that does not fit its terms",
    inWorld(async ({ db, include }) => {
      const lies = [
        lockLog("alpha", paid, hexOf("5")),
        lockLog("alpha", item, hexOf("5")),
        // the hash of the same terms on another chain
        lockLog("alpha", paid, idOf(placeOf("beta"), paid)),
        { ...lockLog("alpha", paid), data: "0x00" as Hex },
      ];
      const { log } = batchOf("alpha", [entry, other]);
      const { log: foreign } = batchOf("alpha", [other, entry]);
      const [selector = "0x", , ...rest] = log.topics;
      lies.push({ ...log, data: foreign.data }, { ...log, topics: [selector, hexOf("5"), ...rest] });
      const [, , tampered] = [0, 0, log.data.replace(entry.hashlock.slice(2), hexOf("4").slice(2)) as Hex];
      lies.push({ ...log, data: tampered });
      for (const lie of lies) {
        await assert.rejects(include("alpha", blockOf(10n, [lockLog("alpha", payment({ amount: 7n })), lie])), {
          code: "chain-answer-invalid",
        });
      }
      assert.deepEqual(await listLocks(db, {}, undefined, 10), []);
    }),
  );

  it(
    "takes nothing of an answer with a secret that does not fit its lock",
    inWorld(async ({ db, include, states }) => {
      await include("alpha", blockOf(10n, [lockLog("alpha", paid)]));
      await assert.rejects(include("alpha", blockOf(11n, [claimLog(paidId, otherSecret)])), {
        code: "chain-answer-invalid",
      });
      assert.deepEqual(await states("alpha", paidId), ["10:open"]);
      assert.equal(await hashlockSeen(db, hashlockOf(otherSecret)), false);
    }),
  );

  it(
    "ignores the same log from another contract",
    inWorld(async ({ db, include }) => {
      const block = blockOf(10n, [lockLog("alpha", paid)]);
      await include("alpha", { ...block, logs: block.logs.map((log) => ({ ...log, address: hexOf("e", 20) })) });
      assert.deepEqual(await listLocks(db, {}, undefined, 10), []);
    }),
  );

  it(
    "lists by chain and state in pages, newest first, and finds what concerns an address",
    inWorld(async ({ db, include }) => {
      const made = [1n, 2n, 3n, 4n].map((amount) => payment({ amount }));
      await include(
        "alpha",
        blockOf(
          10n,
          made.map((lock) => lockLog("alpha", lock)),
        ),
      );
      await include("beta", blockOf(4n, [lockLog("beta", item)]));
      await include("alpha", blockOf(11n, [refundLog(idOf(placeOf("alpha"), payment({ amount: 2n })))]));
      const amounts = async (...args: [Parameters<typeof listLocks>[1], bigint?, number?]) =>
        (await listLocks(db, args[0], args[1], args[2] ?? 10)).map(({ lock }) => lock.terms.amount);
      assert.deepEqual(await amounts({}), [0n, 4n, 3n, 2n, 1n]);
      assert.deepEqual(await amounts({ chain: "alpha", state: "open" }), [4n, 3n, 1n]);
      assert.deepEqual(await amounts({ state: "refunded" }), [2n]);
      assert.deepEqual(await amounts({ watched: true }), []);
      const [, last] = await listLocks(db, {}, undefined, 2);
      assert.deepEqual(await amounts({}, last?.seq, 2), [3n, 2n]);
      const mine = async (digit: string) =>
        (await openLocksOf(db, [payment({ sender: hexOf(digit, 20) }).terms.sender])).length;
      assert.equal((await openLocksOf(db, [paymentTerms.sender])).length, 4);
      assert.equal((await openLocksOf(db, [paymentTerms.recipient])).length, 4);
      assert.equal(await mine("f"), 0);
    }),
  );
});
