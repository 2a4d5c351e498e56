import assert from "node:assert/strict";
import { it } from "node:test";
import { decodeFunctionData } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { IntentRequest } from "#core/sender/sender.ts";
import { idOf } from "#swap/protocol/anyLock.ts";
import { batchId } from "#swap/protocol/lockId.ts";
import { merkleProof } from "#swap/protocol/merkle.ts";
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
import { policy, watchWorld } from "#test/swap/watch/support.ts";

const lock = payment();
const id = idOf(placeOf("alpha"), lock);
const locked = blockOf(10n, [lockLog("alpha", lock)]);
const publishedOnBeta = blockOf(3n, [claimLog(hexOf("4"))]);
const finalized = (status: "success" | "reverted") =>
  ({ state: "finalized", status, hash: hexOf("7"), blockNumber: 1n, gasUsed: 1n }) as const;

await onDatabase("the driver of watched locks", (backend) => {
  type Options = Parameters<typeof watchWorld>[1];
  const inWorld = (work: (world: Awaited<ReturnType<typeof watchWorld>>) => Promise<void>, options?: Options) => () =>
    withDatabase(backend, async (database) => work(await watchWorld(database, options)));

  const calldata = (request: IntentRequest | undefined) => {
    assert.ok(request && "data" in request.call);
    return decodeFunctionData({ abi: hashedTimelockAbi, data: request.call.data });
  };

  it(
    "claims as soon as the other chain shows the secret, once, however often it is asked",
    inWorld(async ({ include, requester, advance, asked, intents, dueAt, index, clock }) => {
      await include("alpha", locked);
      await requester.watch("alpha", id);
      await advance(id);
      assert.deepEqual([asked(), await dueAt(id)], [[], 1_000n]);
      await include("beta", publishedOnBeta);
      assert.deepEqual(await index.due(new Date(clock.now()), 10), [`alpha-${id}`]);
      await Promise.all([advance(id), advance(id)]);
      await advance(id);
      assert.deepEqual(asked(), ["claim-1"]);
      const [intent] = intents.values();
      assert.deepEqual(
        { ...intent?.request, call: calldata(intent?.request) },
        {
          ...{ id: `watch-alpha-${id}-claim-1`, chain: "alpha", account: "tower", kind: "watch.claim", gas: 300_000n },
          ...{ subject: `watch-alpha-${id}`, dryRun: true, notAfter: 1_005n },
          call: { functionName: "claim", args: [paymentTerms, secret] },
        },
      );
    }),
  );

  it(
    "tries again after a failure, and refunds when the claim's window has closed",
    inWorld(async ({ include, requester, advance, asked, end, clock, intents }) => {
      await include("alpha", locked);
      await include("beta", publishedOnBeta);
      await requester.watch("alpha", id);
      await advance(id);
      end({ state: "abandoned", reason: "reverts", detail: "no" });
      await advance(id);
      await advance(id);
      assert.deepEqual(asked(), ["claim-1"]);
      clock.seconds += 1n;
      await advance(id);
      assert.deepEqual(asked(), ["claim-1", "claim-2"]);
      clock.seconds = 1_005n;
      await advance(id);
      assert.deepEqual(asked(), ["claim-1", "claim-2"]);
      end(finalized("reverted"));
      await advance(id);
      await advance(id);
      assert.deepEqual(asked(), ["claim-1", "claim-2", "refund-1"]);
      const refund = [...intents.values()].at(-1)?.request;
      assert.equal(refund?.notAfter, undefined);
      assert.deepEqual(calldata(refund), { functionName: "refund", args: [paymentTerms] });
    }),
  );

  it(
    "waits for the ledger behind its own transaction, unless the chain says that the lock is open",
    inWorld(async ({ include, requester, advance, asked, end, clock, onChain, watch }) => {
      await include("alpha", locked);
      await include("beta", publishedOnBeta);
      await requester.watch("alpha", id);
      await advance(id);
      end(finalized("success"));
      await advance(id);
      assert.equal((await watch(id)).taken?.failure, undefined);
      onChain.set(id, 1n);
      await advance(id);
      assert.equal((await watch(id)).taken?.failure?.code, "intent-without-effect");
      clock.seconds += 10n;
      await advance(id);
      assert.deepEqual(asked(), ["claim-1", "claim-2"]);
    }),
  );

  it(
    "ends once the end is final, and is open again when final blocks are dropped",
    inWorld(async ({ include, finalize, reorg, requester, advance, watch, asked, dueAt }) => {
      await include("alpha", locked);
      await include("beta", publishedOnBeta);
      await requester.watch("alpha", id);
      await advance(id);
      await include("alpha", blockOf(12n, [claimLog(id)]));
      await finalize(11n);
      await advance(id);
      assert.deepEqual([(await watch(id)).outcome, await dueAt(id)], [undefined, 502n]);
      await finalize(12n);
      await advance(id);
      assert.deepEqual([(await watch(id)).outcome, await dueAt(id)], ["claimed", undefined]);
      await reorg(11n, true);
      assert.equal((await watch(id)).outcome, undefined);
      await include("alpha", blockOf(12n, [claimLog(id)], "b"));
      await finalize(12n);
      await advance(id);
      assert.equal((await watch(id)).outcome, "claimed");
      assert.deepEqual(asked(), ["claim-1"]);
    }),
  );

  it(
    "follows a reorganisation of what was not final",
    inWorld(async ({ include, reorg, requester, advance, asked, end, clock, dueAt }) => {
      await include("alpha", locked);
      await requester.watch("alpha", id);
      await reorg(9n);
      await advance(id);
      assert.equal(await dueAt(id), 1_035n);
      await include("alpha", blockOf(11n, [lockLog("alpha", lock)], "b"));
      assert.equal(await dueAt(id), clock.seconds);
      clock.seconds = 1_000n;
      await advance(id);
      assert.deepEqual(asked(), ["refund-1"]);
      await include("alpha", blockOf(12n, [refundLog(id)], "b"));
      await advance(id);
      await reorg(11n);
      end({ state: "abandoned", reason: "reverts", detail: "no" });
      await advance(id);
      clock.seconds += 5n;
      await advance(id);
      assert.deepEqual(asked(), ["refund-1", "refund-2"]);
    }),
  );

  it(
    "does not sleep through what a chain shows between looking and deciding",
    inWorld(async ({ include, requester, index, clock, dueAt }) => {
      await include("alpha", locked);
      await requester.watch("alpha", id);
      const looked = await index.look(`alpha-${id}`);
      assert.ok(looked);
      await include("beta", publishedOnBeta);
      await index.schedule(looked, new Date(1_000_000));
      assert.equal(await dueAt(id), clock.seconds);
    }),
  );

  it(
    "closes a leaf with the proof of the batch that has it open",
    inWorld(async ({ include, requester, advance, intents, onChain, clock }) => {
      const { chainId, contract } = placeOf("alpha");
      const entry = { recipient: paymentTerms.recipient, amount: 1n, hashlock, timelock: 1_000n };
      const [one, two] = [batchOf("alpha", [entry, { ...entry, amount: 2n }]), batchOf("alpha", [entry, entry, entry])];
      const [leaf = "0x"] = one.ids;
      await include("alpha", blockOf(10n, [one.log]), blockOf(11n, [two.log]));
      onChain.set(batchId(chainId, contract, one.root), 0b01n);
      onChain.set(batchId(chainId, contract, two.root), 0b110n);
      await requester.watch("alpha", leaf);
      clock.seconds = 1_000n;
      await advance(leaf);
      const [intent] = intents.values();
      const { functionName, args } = calldata(intent?.request);
      assert.deepEqual([functionName, args?.[1], args?.[2]], ["refundLeaf", 0n, merkleProof(one.ids, 0)]);
    }),
  );

  it(
    "refunds an item, and shows what it is",
    inWorld(
      async ({ include, requester, advance, intents, clock, reader }) => {
        const itemId = idOf(placeOf("alpha"), item);
        await include("alpha", blockOf(10n, [lockLog("alpha", item)]));
        await requester.watch("alpha", itemId);
        const view = await reader.find("alpha", itemId);
        assert.deepEqual(view?.asset, { type: "erc721", address: itemTerms.token, tokenId: itemTerms.tokenId });
        assert.deepEqual([view?.watch?.state, view?.watch?.reason.code], ["watching", "awaiting-timelock"]);
        clock.seconds = 1_000n;
        await advance(itemId);
        assert.deepEqual(calldata([...intents.values()][0]?.request), {
          functionName: "refundItem",
          args: [itemTerms],
        });
      },
      { config: { ...policy, tokens: { alpha: [itemTerms.token] } } },
    ),
  );
});
