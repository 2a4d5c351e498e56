import assert from "node:assert/strict";
import { it } from "node:test";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { IntentRequest, IntentStatus, Sender } from "#core/sender/sender.ts";
import { createSwapDriver } from "#swap/driver.ts";
import { type SwapEvent, swapStream } from "#swap/events.ts";
import { createScheduler } from "#swap/scheduler.ts";
import { onDatabase, quietLog, withDatabase } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";
import { claimed, detected, hexOf, locked, revealStarted, started } from "#test/swap/samples.ts";
import { swapWorld } from "#test/swap/support.ts";

const bothLocked = [detected("source"), locked("source"), detected("target"), locked("target")];
const targetClaimed = [...bothLocked, started("claim-target"), revealStarted, claimed("target")];

await onDatabase("the swap driver", (backend) => {
  const inWorld = (work: (world: Awaited<ReturnType<typeof openWorld>>) => Promise<void>) => () =>
    withDatabase(backend, async (database) => work(await openWorld(database)));

  async function openWorld(database: Parameters<typeof swapWorld>[0]) {
    const world = await swapWorld(database);
    const intents = new Map<string, { request: IntentRequest; status: IntentStatus }>();
    const sender: Sender = {
      async submit(_tx, requests) {
        for (const request of requests) intents.set(request.id, { request, status: { state: "sent" } });
      },
      find: async (_from, id) => intents.get(id)?.status,
      findByTransactions: async () => new Map(),
    };
    const driver = createSwapDriver({ ...world, sender, log: quietLog });
    const steps = () => [...intents.values()].map(({ request }) => request.kind);
    const end = (kind: string, status: IntentStatus) => {
      for (const intent of intents.values()) if (intent.request.kind === kind) intent.status = status;
    };
    return { ...world, driver, intents, steps, end };
  }

  const unreachable = async () => {
    throw new LockstepError("chain-unreachable", "nobody answers");
  };

  it(
    "claims the source leg while the target chain does not answer, or lies about its time",
    inWorld(async ({ append, driver, steps, beta }) => {
      await append(...targetClaimed);
      beta.time = 1_000_000n;
      Object.assign(beta, { block: unreachable });
      await driver.advance("1");
      assert.deepEqual(steps(), ["swap.claim-source"]);
    }),
  );

  it(
    "refunds a leg while the other chain does not answer",
    inWorld(async ({ append, driver, steps, clock, alpha }) => {
      await append(...bothLocked);
      Object.assign(alpha, { block: unreachable });
      clock.seconds = 1_000n;
      await driver.advance("1");
      assert.deepEqual(steps(), ["swap.refund-target"]);
    }),
  );

  it(
    "neither goes on nor gives up because a chain claims a time out of bounds",
    inWorld(async ({ append, driver, steps, swap, beta }) => {
      await append(...bothLocked);
      beta.time = 1_000_000n;
      await assert.rejects(driver.advance("1"), { code: "chain-time-off" });
      assert.deepEqual(steps(), []);
      assert.equal((await swap()).givenUp, undefined);
    }),
  );

  it(
    "takes a step once, however often it is asked, and again after its intent has failed and the delay has passed",
    inWorld(async ({ driver, steps, end, clock, swap }) => {
      await Promise.all([driver.advance("1"), driver.advance("1")]);
      await driver.advance("1");
      assert.deepEqual(steps(), ["swap.lock-source"]);
      end("swap.lock-source", { state: "abandoned", reason: "reverts", detail: "no" });
      await driver.advance("1");
      await driver.advance("1");
      assert.deepEqual(steps(), ["swap.lock-source"]);
      clock.seconds += 1n;
      await driver.advance("1");
      assert.deepEqual(steps(), ["swap.lock-source", "swap.lock-source"]);
      assert.equal((await swap()).steps["lock-source"]?.attempt, 2);
    }),
  );

  it(
    "takes the reveal mark back exactly when the claim was abandoned, not when it was mined and reverted",
    inWorld(async ({ append, driver, end, swap }) => {
      await append(...bothLocked);
      await driver.advance("1");
      await append(revealStarted);
      end("swap.claim-target", {
        state: "finalized",
        status: "reverted",
        hash: hexOf("7"),
        blockNumber: 1n,
        gasUsed: 1n,
      });
      await driver.advance("1");
      assert.equal((await swap()).revealStarted, true);
    }),
  );

  it(
    "takes the reveal mark back when no byte of the claim left",
    inWorld(async ({ append, driver, end, swap }) => {
      await append(...bothLocked);
      await driver.advance("1");
      await append(revealStarted);
      end("swap.claim-target", { state: "abandoned", reason: "expired", detail: "late" });
      await driver.advance("1");
      assert.equal((await swap()).revealStarted, false);
    }),
  );

  it(
    "counts a claim as left out of its batch only when a final block of that height has its lock open",
    inWorld(async ({ append, driver, swap, alpha, intents, store, db }) => {
      await append(...targetClaimed);
      const batched = { step: "claim-source" as const, attempt: 1, intentId: "swap-batch-1" };
      await append({ type: "StepStarted", data: batched });
      const mined = { state: "finalized", status: "success", hash: hexOf("7"), gasUsed: 1n } as const;
      const status = { ...mined, blockNumber: 41n };
      intents.set("swap-batch-1", { request: {} as IntentRequest, status });
      const state = async () => (await swap()).steps["claim-source"]?.state;
      await driver.advance("1");
      assert.equal(await state(), "started", "an endpoint that is behind cannot say");
      alpha.finalNumber = 41n;
      alpha.openAtFinal = false;
      await driver.advance("1");
      assert.equal(await state(), "started", "its claim is only to be read yet");
      const { block } = alpha;
      Object.assign(alpha, { block: unreachable, openAtFinal: true });
      await driver.advance("1");
      assert.equal(await state(), "started");
      Object.assign(alpha, { block });
      await driver.advance("1");
      assert.equal((await swap()).steps["claim-source"]?.failure?.code, "intent-skipped");
      await driver.advance("1");
      const events = await store.load<SwapEvent>(db, swapStream("1"));
      assert.equal(events.filter(({ type }) => type === "StepFailed").length, 1);
    }),
  );

  it(
    "counts a refund as left out of its batch when a final block of that height has its lock open",
    inWorld(async ({ append, driver, swap, beta, intents, clock }) => {
      clock.seconds = 1_000n;
      await append(...bothLocked);
      await append({ type: "StepStarted", data: { step: "refund-target", attempt: 1, intentId: "swap-batch-1" } });
      const mined = { state: "finalized", status: "success", hash: hexOf("7"), gasUsed: 1n } as const;
      intents.set("swap-batch-1", { request: {} as IntentRequest, status: { ...mined, blockNumber: 40n } });
      beta.openAtFinal = false;
      await driver.advance("1");
      assert.equal((await swap()).steps["refund-target"]?.state, "started");
      beta.openAtFinal = true;
      await driver.advance("1");
      assert.equal((await swap()).steps["refund-target"]?.failure?.code, "intent-skipped");
    }),
  );

  it(
    "lets others have their turn when a swap cannot be looked at",
    inWorld(async ({ db, index }) => {
      const looked: string[] = [];
      const failing = {
        async advance(id: string) {
          looked.push(id);
          throw new LockstepError("chain-unreachable", "nobody answers");
        },
      };
      await db.query("update swaps set due_at = now() - interval '1 second'");
      const scheduler = createScheduler({ what: "swap", index, driver: failing, clock: systemClock, log: quietLog });
      scheduler.start();
      try {
        await until(async () => looked.length > 0 && (await index.due(new Date(), 10)).length === 0);
      } finally {
        await scheduler.stop();
      }
    }),
  );
});
