import assert from "node:assert/strict";
import { it } from "node:test";
import { LockstepError } from "#core/kernel/errors.ts";
import { idOf } from "#swap/protocol/anyLock.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import {
  blockOf,
  claimLog,
  itemTerms,
  lockLog,
  payment,
  paymentTerms,
  placeOf,
  refundLog,
} from "#test/swap/locks/samples.ts";
import { hexOf } from "#test/swap/samples.ts";
import { policy, refusedWith, watchWorld } from "#test/swap/watch/support.ts";

const lock = payment();
const id = idOf(placeOf("alpha"), lock);
const locked = blockOf(10n, [lockLog("alpha", lock)]);

await onDatabase("a request to watch a lock", (backend) => {
  type Options = Parameters<typeof watchWorld>[1];
  const inWorld = (work: (world: Awaited<ReturnType<typeof watchWorld>>) => Promise<void>, options?: Options) => () =>
    withDatabase(backend, async (database) => work(await watchWorld(database, options)));

  it(
    "is granted for a tip that covers a claim's gas where the asset is not on the list, and refused with the numbers",
    inWorld(
      async ({ include, requester, watch, alpha }) => {
        // 120,000 gas at a next base fee of 10 and a priority fee of 2, of which 150 percent are wanted
        Object.assign(alpha, {
          fees: async () => ({ maxFeePerGas: 99n, maxPriorityFeePerGas: 2n, market: { nextBaseFee: 10n, high: 50n } }),
        });
        const needed = 2_160_000n;
        const [poor, rich] = [payment({ tip: needed - 1n }), payment({ tip: needed })];
        await include("alpha", blockOf(10n, [lockLog("alpha", poor), lockLog("alpha", rich)]));
        const refusal = await refusedWith(requester.watch("alpha", idOf(placeOf("alpha"), poor)));
        assert.equal(refusal.code, "tip-too-low");
        assert.deepEqual(refusal.details, {
          ...{ tip: needed - 1n, needed, gasPrice: 12n, gas: 120_000n, minTipPercent: 150 },
        });
        await requester.watch("alpha", idOf(placeOf("alpha"), rich));
        assert.equal((await watch(idOf(placeOf("alpha"), rich))).account, undefined);
      },
      { config: { ...policy, tokens: { beta: ["native"] }, minTipPercent: 150 } },
    ),
  );

  it(
    "is refused while as many are watched as may be, also when all are asked for at once",
    inWorld(async ({ include, finalize, requester, advance }) => {
      const locks = [1n, 2n, 3n].map((amount) => payment({ amount }));
      const ids = locks.map((each) => idOf(placeOf("alpha"), each));
      await include(
        "alpha",
        blockOf(
          10n,
          locks.map((each) => lockLog("alpha", each)),
        ),
      );
      const answers = await Promise.allSettled(ids.map((each) => requester.watch("alpha", each)));
      assert.equal(answers.filter(({ status }) => status === "fulfilled").length, 2);
      const left = ids[answers.findIndex(({ status }) => status === "rejected")] ?? "0x";
      const refusal = await refusedWith(requester.watch("alpha", left));
      assert.deepEqual([refusal.code, refusal.details], ["watchtower-full", { watched: 2, most: 2 }]);
      const taken = ids.find((each) => each !== left) ?? "0x";
      await requester.watch("alpha", taken);
      await include("alpha", blockOf(12n, [refundLog(taken)]));
      await finalize(12n);
      await advance(taken);
      await requester.watch("alpha", left);
    }),
  );

  it(
    "is refused for legs of swaps here, for what has ended, and for what was never seen",
    inWorld(async ({ db, include, requester }) => {
      assert.equal((await refusedWith(requester.watch("alpha", id))).code, "not-found");
      await include("alpha", locked);
      await db.query("update swap_legs set lock_id = $1 where chain = 'alpha'", [id]);
      const refusal = await refusedWith(requester.watch("alpha", id));
      assert.deepEqual([refusal.code, refusal.details], ["lock-of-swap", { swap: "1" }]);
      await db.query("update swap_legs set lock_id = $1 where chain = 'alpha'", [hexOf("5")]);
      await include("alpha", blockOf(11n, [refundLog(id)]));
      assert.equal((await refusedWith(requester.watch("alpha", id))).code, "lock-ended");
    }),
  );

  it(
    "comes for each lock of a managed account in a recovery, and for none that a swap here drives",
    inWorld(
      async ({ db, include, recovery, advance, intents, clock, requester }) => {
        const received = payment({ sender: itemTerms.token, recipient: paymentTerms.sender });
        const receivedId = idOf(placeOf("alpha"), received);
        const swapped = payment({ amount: 9n });
        const others = payment({ sender: itemTerms.token });
        await include(
          "alpha",
          locked,
          blockOf(
            11n,
            [received, swapped, others].map((each) => lockLog("alpha", each)),
          ),
        );
        await db.query("update swap_legs set lock_id = $1 where chain = 'alpha'", [idOf(placeOf("alpha"), swapped)]);
        const found = await recovery.locks();
        const base = { chain: "alpha", watched: false, account: "alice" };
        assert.deepEqual(found, [
          { ...base, lockId: id, refunds: true },
          { ...base, lockId: receivedId, refunds: false },
        ]);
        for (const each of found) await recovery.take(each);
        assert.deepEqual(
          (await recovery.locks()).map(({ watched }) => watched),
          [true, true],
        );
        clock.seconds = 1_005n;
        for (const { lockId } of found) await advance(lockId);
        assert.deepEqual(
          [...intents.values()].map(({ request }) => [request.account, request.kind]),
          [["alice", "watch.refund"]],
        );
        // The one that can only be refunded to its sender is not found again.
        const rest = await recovery.locks();
        assert.deepEqual(
          rest.map(({ lockId }) => lockId),
          [id],
        );
        assert.equal((await refusedWith(requester.watch("alpha", receivedId))).code, "watchtower-off");
      },
      { config: undefined, accounts: { alice: paymentTerms.sender } },
    ),
  );

  it(
    "claims what is its own at any price up to what it is worth, as long as the claim counts",
    inWorld(
      async ({ include, recovery, advance, intents }) => {
        const received = payment({ sender: itemTerms.token, recipient: paymentTerms.sender });
        const lockId = idOf(placeOf("alpha"), received);
        await include("alpha", blockOf(11n, [lockLog("alpha", received)]));
        for (const each of await recovery.locks()) await recovery.take(each);
        await include("beta", blockOf(3n, [claimLog(hexOf("4"))]));
        await advance(lockId);
        const [claim] = [...intents.values()].map(({ request }) => request);
        assert.deepEqual(claim?.urgency, { by: received.terms.timelock, worth: received.terms.amount });
      },
      { config: undefined, accounts: { alice: paymentTerms.sender } },
    ),
  );

  it(
    "of a stranger waits while its chain is paused, and our own locks are taken on all the same",
    inWorld(
      async ({ include, requester, watch }) => {
        const lockId = idOf(placeOf("alpha"), lock);
        await include("alpha", locked);
        assert.equal((await refusedWith(requester.watch("alpha", lockId))).code, "chain-paused");
        await requester.recover("alpha", lockId, { account: "alice", refunds: true });
        assert.equal((await watch(lockId)).account, "alice");
      },
      {
        config: { ...policy, tokens: { alpha: ["native"] } },
        admission: {
          admit: async () => {
            throw new LockstepError("chain-paused", "it is paused");
          },
          admitOwn: async () => undefined,
        },
      },
    ),
  );
});
