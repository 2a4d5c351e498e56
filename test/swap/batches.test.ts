import assert from "node:assert/strict";
import { it } from "node:test";
import { decodeFunctionData } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { Tx } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { IntentRequest } from "#core/sender/sender.ts";
import { swapEvents, swapMigrations, swapProjections } from "#swap";
import { batchOf, formBatches, isBatchable, type StepDecision } from "#swap/batches.ts";
import { type LegTerms, type StepName, type SwapEvent, swapStream } from "#swap/events.ts";
import { intentOf } from "#swap/intents.ts";
import { advanceJobs } from "#swap/jobs.ts";
import { lockIdOf } from "#swap/legCalls.ts";
import { hashlockOf } from "#swap/protocol/hashlock.ts";
import { foldSwap, type Swap } from "#swap/swap.ts";
import { createDecisionWriter } from "#swap/writer.ts";
import { type OpenDatabase, onDatabase, quietLog, withDatabase } from "#test/support/databases.ts";
import { claimed, detected, hexOf, legTerms, locked, requested, requestedBy, signed, stored } from "./samples.ts";

const deadlines = { sourceLockBy: 600n, counterLockBy: 700n, revealBy: 800n, sourceClaimUntil: 2_005n };
const secretOf = (id: number): Hex => `0x${id.toString(16).padStart(64, "0")}`;

/** One of many swaps, which differ in their secrets. */
function requestOf(id: number, over: Partial<LegTerms> = {}, by = requested): SwapEvent {
  if (by.type !== "SwapRequested") throw new Error("it is the first event");
  const hashlock = hashlockOf(secretOf(id));
  const leg = (terms: LegTerms) => ({ ...terms, lockId: lockIdOf(terms, hashlock) });
  const target = leg({ ...legTerms.target, ...over });
  return { ...by, data: { ...by.data, hashlock, source: leg(legTerms.source), target } };
}

function swapOf(id: number, ...events: SwapEvent[]): Swap {
  const swap = foldSwap(stored(...events).map((event) => ({ ...event, stream: swapStream(String(id)) })));
  assert.ok(swap);
  return swap;
}

const decide = (swap: Swap, step: StepName, attempt = 1): StepDecision => ({
  ...{ swap, step, attempt, intent: intentOf(swap, { step, attempt }, { deadlines }) },
});
const counterLock = (id: number, over: Partial<LegTerms> = {}, attempt = 1) =>
  decide(swapOf(id, requestOf(id, over), detected("source"), locked("source")), "lock-target", attempt);
const sourceClaim = (id: number) => {
  const shown: SwapEvent = {
    ...claimed("target"),
    data: { ...claimed("target").data, secret: secretOf(id) },
  } as SwapEvent;
  return decide(swapOf(id, requestOf(id), detected("source"), detected("target"), shown), "claim-source");
};
const shape = (decisions: readonly StepDecision[]) => {
  const { batches, alone } = formBatches(decisions);
  return [batches.map((batch) => batch.map(({ swap }) => Number(swap.id))), alone.map(({ swap }) => Number(swap.id))];
};

it("refunds go together once the chain has a block of their time, of any amounts and assets, and never twice", () => {
  const refund = (id: number, { possible = true, attempt = 1, over = {} as Partial<LegTerms> } = {}) => ({
    ...decide(swapOf(id, requestOf(id, over), detected("target"), locked("target")), "refund-target", attempt),
    ...(possible && ({ possible: true } as const)),
  });
  const token: LegTerms["asset"] = { type: "erc20", address: hexOf("d", 20) };
  const item: LegTerms["asset"] = { type: "erc721", address: hexOf("d", 20), tokenId: 1n };
  const decisions = [
    ...[refund(1), refund(2, { over: { amount: 9n, asset: token } }), refund(3, { over: { tip: 4n } })],
    ...[refund(4, { possible: false }), refund(5, { attempt: 2 }), refund(6, { over: { asset: item, amount: 1n } })],
  ];
  assert.deepEqual(shape(decisions), [[[1, 2, 3]], [4, 5, 6]]);
  const { intent, events } = batchOf(decisions.slice(0, 3), 500n);
  assert.deepEqual(
    [intent.kind, intent.signBy, intent.notAfter, intent.gas],
    ["swap.refund-target-batch", 515n, undefined, 1_000_000n],
  );
  const { functionName, args } = decodeFunctionData({
    abi: hashedTimelockAbi,
    data: "data" in intent.call ? intent.call.data : "0x",
  });
  assert.equal(functionName, "refundBatch");
  const terms = args?.[0] as readonly { hashlock: Hex; amount: bigint }[];
  assert.deepEqual(
    terms.map(({ hashlock, amount }) => [hashlock, amount]),
    [1, 2, 3].map((id) => [hashlockOf(secretOf(id)), id === 2 ? 9n : 5n]),
  );
  assert.deepEqual(
    events.flat().map(({ type }) => type),
    ["StepStarted", "StepStarted", "StepStarted"],
  );
});

it("what goes together is of one account and one asset, and never tried together twice", () => {
  const token: LegTerms["asset"] = { type: "erc20", address: hexOf("d", 20) };
  const item: LegTerms["asset"] = { type: "erc721", address: hexOf("d", 20), tokenId: 1n };
  const all = [
    ...[counterLock(1), counterLock(2), counterLock(3, { asset: token }), counterLock(4, { asset: token })],
    ...[counterLock(5, { tip: 1n }), counterLock(6, {}, 2), counterLock(7, { asset: item, amount: 1n })],
    ...[counterLock(8, { sender: hexOf("e", 20) }), sourceClaim(9), sourceClaim(10), counterLock(11)],
  ];
  assert.deepEqual(shape(all), [
    [
      [1, 2, 11],
      [3, 4],
      [9, 10],
    ],
    [5, 6, 7, 8],
  ]);
  const lone = swapOf(12, requestOf(12, {}, requestedBy("counterparty")), signed("target", "lock", 900n));
  assert.ok(!isBatchable({ ...counterLock(12), swap: lone }), "its sender signed a lock of its own");
});

it("no transaction does more than sixteen", () => {
  const many = Array.from({ length: 33 }, (_, id) => counterLock(id));
  assert.deepEqual(
    formBatches(many).batches.map(({ length }) => length),
    [16, 16],
  );
  assert.equal(formBatches(many).alone.length, 1);
});

it("counter-locks under one root bring all their coin, are not sent later than any alone, and can each be claimed", () => {
  const decisions = [counterLock(1), counterLock(2, { amount: 8n, tip: 0n })];
  const early = decisions[1] as StepDecision;
  const { intent, events } = batchOf(
    [decisions[0] as StepDecision, { ...early, intent: { ...early.intent, notAfter: 650n } }],
    500n,
  );
  assert.deepEqual([intent.notAfter, intent.dryRun, intent.kind], [650n, true, "swap.lock-target-batch"]);
  assert.ok("data" in intent.call);
  assert.equal(intent.call.value, 13n);
  const { functionName, args } = decodeFunctionData({ abi: hashedTimelockAbi, data: intent.call.data });
  assert.equal(functionName, "lockBatch");
  assert.deepEqual(
    (args[2] as readonly { amount: bigint }[]).map(({ amount }) => amount),
    [5n, 8n],
  );
  for (const [index, { swap }] of decisions.entries()) {
    const placed = swapOf(index + 1, requestOf(index + 1, index === 1 ? { amount: 8n } : {}), ...(events[index] ?? []));
    assert.notEqual(placed.terms.target.lockId, swap.terms.target.lockId);
    assert.equal(placed.terms.target.lockId, lockIdOf(placed.terms.target, placed.hashlock));
    assert.equal(placed.steps["lock-target"]?.intentId, intent.id);
  }
});

it("claims together may cost a gas what the most valuable may cost alone, and are tried alone when they do not leave", () => {
  const { intent } = batchOf([sourceClaim(1), sourceClaim(2), sourceClaim(3)], 500n);
  assert.deepEqual(intent.urgency, { by: 2_000n, worth: (5n * intent.gas) / 300_000n });
  assert.deepEqual([intent.signBy, intent.notAfter], [515n, undefined]);
  assert.equal(intent.dryRun, false);
});

onDatabase("steps that are decided at once", (backend) => {
  const run = async (test: (database: OpenDatabase) => Promise<void>) => withDatabase(backend, test);
  const world = async ({ db }: OpenDatabase, ids: readonly number[]) => {
    await migrate(db, [...eventMigrations, ...swapMigrations]);
    const store = createEventStore({ db, schemas: swapEvents, projections: swapProjections, log: quietLog });
    const append = (id: number, ...events: SwapEvent[]) =>
      db.tx(async (tx) => {
        const before = await store.load(tx, swapStream(String(id)));
        await store.append(tx, [{ stream: swapStream(String(id)), expected: before.length, events }]);
      });
    for (const id of ids) await append(id, requestOf(id), detected("source"), locked("source"));
    const intents: IntentRequest[] = [];
    const clock: Clock = { now: () => 500_000, sleep: async () => undefined };
    const sender = {
      submit: async (tx: Tx, asked: readonly IntentRequest[]) => tx.afterCommit(() => void intents.push(...asked)),
    };
    const writer = createDecisionWriter({ db, store, sender, clock });
    const load = async (id: number) => {
      const swap = foldSwap(await store.load<SwapEvent>(db, swapStream(String(id))));
      assert.ok(swap);
      return swap;
    };
    const start = async (...wanted: readonly number[]) => {
      const swaps = await Promise.all(wanted.map(load));
      await Promise.all(swaps.map((swap) => writer.start(decide(swap, "lock-target"))));
    };
    const batches = async () => (await store.readAll(0n, 100)).filter(({ type }) => type === "StepsBatched");
    return { db, store, append, intents, load, start, writer, batches };
  };

  it("are one intent, which is found again by every swap of it", () =>
    run(async (database) => {
      const { start, intents, load, db, batches } = await world(database, [1, 2, 3]);
      await start(1, 2, 3);
      assert.deepEqual(
        intents.map(({ kind }) => kind),
        ["swap.lock-target-batch"],
      );
      const [started] = await batches();
      const data = started?.data as { swaps: string[] };
      assert.deepEqual(data.swaps, ["1", "2", "3"]);
      for (const id of data.swaps) {
        const { terms } = await load(Number(id));
        assert.ok(terms.target.batch);
        const rows = await db.query<{ swap_id: string }>("select swap_id from swap_legs where lock_id = $1", [
          terms.target.lockId,
        ]);
        assert.deepEqual(
          rows.map((row) => row.swap_id),
          [id],
        );
      }
      const failed = { type: "IntentAbandoned", data: { kind: "swap.lock-target-batch", subject: started?.stream } };
      const [job] = advanceJobs({ ...failed, stream: "intent-x", position: 9n, version: 1, at: new Date() });
      assert.deepEqual(job?.data, { batch: started?.stream });
    }));

  it("go without the one whose swap has changed meanwhile", () =>
    run(async (database) => {
      const { writer, append, intents, load } = await world(database, [1, 2, 3]);
      const decisions = [];
      for (const id of [1, 2, 3]) decisions.push(decide(await load(id), "lock-target"));
      await append(2, { type: "SwapGivenUp", data: { code: "rejected", detail: "no" } });
      const outcomes = await Promise.allSettled(decisions.map((decision) => writer.start(decision)));
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ["fulfilled", "rejected", "fulfilled"],
      );
      assert.ok(intents.every(({ id }) => !id.startsWith("swap-2-")));
      for (const id of [1, 3]) assert.equal((await load(id)).steps["lock-target"]?.state, "started");
    }));

  it("have locks of their own again when they are tried alone", () =>
    run(async (database) => {
      const { start, writer, append, intents, load } = await world(database, [1, 2]);
      const before = (await load(2)).terms.target.lockId;
      await start(1, 2);
      assert.ok((await load(2)).terms.target.batch);
      await append(2, {
        type: "StepFailed",
        data: { step: "lock-target", attempt: 1, code: "intent-refused", detail: "another was too late" },
      });
      await writer.start(decide(await load(2), "lock-target", 2));
      const { terms } = await load(2);
      assert.deepEqual([terms.target.lockId, terms.target.batch], [before, undefined]);
      const call = intents.at(-1)?.call;
      assert.ok(call && "data" in call);
      assert.equal(decodeFunctionData({ abi: hashedTimelockAbi, data: call.data }).functionName, "createLock");
    }));
});
