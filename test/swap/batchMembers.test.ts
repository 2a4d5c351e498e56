import assert from "node:assert/strict";
import { it } from "node:test";
import { checkMembers } from "#swap/batchMembers.ts";
import type { StepName, SwapEvent } from "#swap/events.ts";
import { advanceJobs } from "#swap/jobs.ts";
import { onDatabase, withDatabase } from "#test/support/databases.ts";
import { claimed, detected, locked, refunded, started } from "./samples.ts";
import { swapWorld } from "./support.ts";

const soon = new Date(501_000);
const later = new Date(900_000);
const sooner = new Date(500_500);
const bothLocked = [detected("source"), locked("source"), detected("target"), locked("target")];

await onDatabase("members of a batch that is mined", (backend) => {
  type Case = {
    readonly step?: StepName;
    readonly ends: readonly SwapEvent[];
    readonly at: Date | undefined;
    readonly expected: Date | undefined;
  };
  const cases: Record<string, Case> = {
    "are looked at soon while their claim does not show": { ends: [], at: later, expected: soon },
    "are looked at no later than they would be anyway": { ends: [], at: sooner, expected: sooner },
    "are left alone when their claim shows": { ends: [claimed("source")], at: later, expected: later },
    "are judged by the leg of the batch, which a refund of the other is not": {
      ...{ step: "refund-source", ends: [refunded("target")] },
      ...{ at: later, expected: soon },
    },
    "are left alone when their refund shows": {
      ...{ step: "refund-target", ends: [refunded("target")] },
      ...{ at: later, expected: later },
    },
    "are not looked at again when they have ended": { ends: [], at: undefined, expected: undefined },
  };
  for (const [what, { step = "claim-source", ends, at, expected }] of Object.entries(cases)) {
    it(what, () =>
      withDatabase(backend, async (database) => {
        const { db, index, append, swap } = await swapWorld(database);
        await append(...bothLocked, started(step), ...ends);
        await index.schedule(await swap(), at);
        await checkMembers(db, { step, swaps: ["1", "2"] }, soon);
        const [row] = await db.query<{ due_at: Date | null }>("select due_at from swaps where id = '1'");
        assert.equal(row?.due_at?.getTime(), expected?.getTime());
      }),
    );
  }
});

it("a batch of claims asks for a check when it is mined, and for a step of each member when it failed", () => {
  const dataOf = (type: string, status: object, kind = "swap.claim-source-batch") =>
    advanceJobs({
      ...{ type, stream: "intent-x", position: 9n, version: 1, at: new Date() },
      data: { subject: "swapbatch-b", kind, ...status },
    }).map(({ data }) => data);
  assert.deepEqual(dataOf("IntentFinalized", { status: "success" }), [{ batch: "swapbatch-b", mined: true }]);
  assert.deepEqual(dataOf("IntentFinalized", { status: "reverted" }), [{ batch: "swapbatch-b" }]);
  assert.deepEqual(dataOf("IntentAbandoned", { reason: "reverts" }), [{ batch: "swapbatch-b" }]);
  for (const kind of ["swap.refund-source-batch", "swap.refund-target-batch"])
    assert.deepEqual(dataOf("IntentFinalized", { status: "success" }, kind), [{ batch: "swapbatch-b", mined: true }]);
  // Locks show by themselves, each.
  assert.deepEqual(dataOf("IntentFinalized", { status: "success" }, "swap.lock-target-batch"), []);
});
