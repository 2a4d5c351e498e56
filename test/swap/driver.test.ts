import assert from "node:assert/strict";
import { it } from "node:test";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { IntentRequest, IntentStatus, Sender } from "#core/sender/sender.ts";
import { createSwapDriver } from "#swap/driver.ts";
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
    return { ...world, driver, steps, end };
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
      end("swap.claim-target", { state: "finalized", status: "reverted", hash: hexOf("7"), gasUsed: 1n });
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
