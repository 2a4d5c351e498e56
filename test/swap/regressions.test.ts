import assert from "node:assert/strict";
import { it } from "node:test";
import type { SwapEvent } from "#swap/events.ts";
import { intentOf } from "#swap/intents.ts";
import { nextAction } from "#swap/nextAction.ts";
import { promisedAmounts } from "#swap/promises.ts";
import { foldSwap, type Swap } from "#swap/swap.ts";
import { lockSignatures } from "#swap/typedData.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import {
  detected,
  hexOf,
  legTerms,
  locked,
  refunded,
  refundFinal,
  reorged,
  requestedBy,
  signed,
  stored,
} from "./samples.ts";
import { swapWorld } from "./support.ts";

const deadlines = { sourceLockBy: 600n, counterLockBy: 700n, revealBy: 800n, sourceClaimUntil: 2_005n };

function swapAfter(...events: SwapEvent[]): Swap {
  const swap = foldSwap(stored(...events));
  assert.ok(swap);
  return swap;
}

it("nobody pays the tip of a lock that an external party signed: whoever closes it could take that", () => {
  const requested = requestedBy("initiator");
  assert.equal(requested.type, "SwapRequested");
  const asset = { type: "erc20", address: hexOf("d", 20) } as const;
  const tipped = {
    ...requested,
    data: { ...requested.data, source: { ...legTerms.source, asset, tip: 50n } },
  } as SwapEvent;
  assert.deepEqual(lockSignatures({ asset, tip: 50n }), []);
  const action = nextAction(swapAfter(tipped, signed("source", "lock", 550n)), deadlines, 500n);
  assert.equal(action.kind, "wait");
});

it("a consent that is good for ever is used until the timelock", () => {
  const consent = signed("source", "early-refund", 2n ** 256n - 1n);
  const swap = swapAfter(requestedBy("counterparty"), detected("source"), locked("source"), consent);
  const action = nextAction(swap, deadlines, 500n);
  assert.ok(action.kind === "step" && action.step === "refund-early-source");
  const signature = swap.legs.source.signatures["early-refund"];
  assert.equal(intentOf(swap, action, { deadlines, consent: signature }).notAfter, 2_000n);
});

it("a consent to the refund of a lock that was reorganised out counts for no other", () => {
  const consent = signed("source", "early-refund", 2_000n);
  const gone = [requestedBy("counterparty"), detected("source"), locked("source"), consent, reorged("source", "lock")];
  const action = nextAction(swapAfter(...gone, detected("source"), locked("source")), deadlines, 500n);
  assert.ok(action.kind === "wait" && action.code === "awaiting-counterparty");
});

await onDatabase("a swap that has ended", (backend) => {
  it("promises nothing any more, also when it was never given up", () =>
    withDatabase(backend, async (database) => {
      const { db, append, index, swap } = await swapWorld(database);
      const { chain, sender: account, asset } = legTerms.target;
      const promised = () => db.tx((tx) => promisedAmounts(tx, [{ chain, account, asset, asOf: 1n }]));
      assert.deepEqual([...(await promised()).values()], [5n]);
      await append(detected("source"), locked("source"), refunded("source"), refundFinal("source"));
      await index.schedule(await swap(), undefined);
      assert.deepEqual([...(await promised()).values()], []);
    }));
});
