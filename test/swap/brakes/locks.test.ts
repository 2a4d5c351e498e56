import assert from "node:assert/strict";
import { it } from "node:test";
import { approvalConfigSchema } from "#core/config/approval.ts";
import type { Db } from "#core/db/db.ts";
import { redact } from "#core/kernel/redacted.ts";
import type { IntentRequest, IntentStatus, Sender } from "#core/sender/sender.ts";
import { createBraking, createLastBrakes } from "#swap/brakes/braking.ts";
import { createHalts } from "#swap/brakes/halts.ts";
import { createSwapDriver } from "#swap/driver.ts";
import { type BatchEvent, batchStream, swapStream } from "#swap/events.ts";
import { createSwapGuards } from "#swap/guards.ts";
import { onDatabase, quietLog, withDatabase } from "#test/support/databases.ts";
import { startJsonServer } from "#test/support/jsonServer.ts";
import { until } from "#test/support/until.ts";
import { approved, detected, givenUp, hexOf, locked, started } from "#test/swap/samples.ts";
import { swapWorld } from "#test/swap/support.ts";

const sourceLocked = [started("lock-source"), detected("source"), locked("source")];

await onDatabase("locks under halts and approvals", (backend) => {
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
    /** What is in memory begins anew; `db` as another process would have it. */
    const process = (config: unknown = { mode: "accept" }, db: Db = world.db) => {
      const approval = approvalConfigSchema.parse(config);
      const keyStore = { ...world.keyStore, names: () => ["alice", "bob"] };
      const deps = { ...world, db, keyStore, approval, approvalSecret: redact(hexOf("4")), log: quietLog };
      const braking = createBraking(deps);
      const driver = createSwapDriver({ ...deps, sender, holdOf: braking.holdAndAsk });
      const guards = createSwapGuards({ ...deps, brakes: createLastBrakes(deps) });
      const ask = async (kind: "swap.lock-source" | "swap.lock-target" | "swap.lock-target-batch") => {
        const subject = kind === "swap.lock-target-batch" ? batchStream("1") : swapStream("1");
        const verdict = await guards[kind]?.({ id: "intent", kind, subject });
        assert.ok(verdict);
        return verdict.send ? "send" : verdict.detail;
      };
      return { braking, driver, ask, halts: createHalts(deps) };
    };
    const steps = () => [...intents.values()].map(({ request }) => request.kind);
    const end = (status: IntentStatus) => {
      for (const intent of intents.values()) intent.status = status;
    };
    const types = async () => (await world.store.readAll(0n, 100)).map(({ type }) => type);
    return { ...world, database, process, steps, end, types };
  }

  it(
    "are refused when a halt comes between the decision and the first byte, and made once it is lifted",
    inWorld(async ({ process, steps, end, swap, clock }) => {
      const { driver, ask, halts } = process();
      await driver.advance("1");
      assert.deepEqual(steps(), ["swap.lock-source"]);
      assert.equal(await ask("swap.lock-source"), "send");
      const { id } = await halts.put({ account: "bob" }, "key may be known");
      const refusal = await ask("swap.lock-source");
      assert.equal(refusal, "locking by account bob is halted: key may be known");
      end({ state: "abandoned", reason: "refused", detail: refusal });
      await driver.advance("1");
      assert.equal((await swap()).steps["lock-source"]?.state, "failed");
      clock.seconds += 2n;
      await driver.advance("1");
      assert.equal(steps().length, 1, "held");
      await halts.lift(id);
      await driver.advance("1");
      assert.deepEqual(steps(), ["swap.lock-source", "swap.lock-source"]);
      assert.equal(await ask("swap.lock-source"), "send");
    }),
  );

  it(
    "are refused by the guards of one process when another writes the halt, without being told",
    inWorld(async ({ append, database, process }) => {
      await append(...sourceLocked);
      const [one, other] = [process(), process(undefined, database.another())];
      assert.equal(await other.ask("swap.lock-target"), "send");
      const { id } = await one.halts.put({ chain: "alpha" }, "reorganises");
      assert.match(await other.ask("swap.lock-target"), /locking on alpha is halted: reorganises/);
      await one.halts.lift(id);
      assert.equal(await other.ask("swap.lock-target"), "send");
    }),
  );

  it(
    "are refused for a halt that is written while the chains are asked, one by one and together",
    inWorld(async ({ append, process, alpha, store, db }) => {
      await append(...sourceLocked);
      const batch: BatchEvent = { type: "StepsBatched", data: { step: "lock-target", chain: "beta", swaps: ["1"] } };
      await db.tx((tx) => store.append(tx, [{ stream: batchStream("1"), expected: 0, events: [batch] }]));
      const { ask, halts } = process();
      const { block } = alpha;
      for (const kind of ["swap.lock-target", "swap.lock-target-batch"] as const) {
        assert.equal(await ask(kind), "send");
        const written: string[] = [];
        Object.assign(alpha, {
          async block(at: bigint | "latest" | "final") {
            if (written.length === 0) written.push((await halts.put({ account: "bob" }, "now")).id);
            return block(at);
          },
        });
        assert.match(await ask(kind), /locking by account bob is halted: now/);
        Object.assign(alpha, { block });
        await halts.lift(String(written[0]));
      }
    }),
  );

  it(
    "are refused together where one of them lacks its approval",
    inWorld(async ({ append, process, store, db }) => {
      await append(...sourceLocked);
      const batch: BatchEvent = { type: "StepsBatched", data: { step: "lock-target", chain: "beta", swaps: ["1"] } };
      await db.tx((tx) => store.append(tx, [{ stream: batchStream("1"), expected: 0, events: [batch] }]));
      const { ask } = process({ mode: "hold" });
      assert.match(await ask("swap.lock-target-batch"), /lock-target was not approved/);
      await append(approved("lock-target"));
      assert.equal(await ask("swap.lock-target-batch"), "send");
    }),
  );

  it(
    "are not let go while it cannot be read whether there is a halt",
    inWorld(async ({ process, db }) => {
      const { ask } = process();
      await db.query("alter table swap_halts rename to swap_halts_gone");
      await assert.rejects(ask("swap.lock-source"));
    }),
  );

  it(
    "are refused at the last moment of a swap that was given up, or of which the approval is missing",
    inWorld(async ({ process, append }) => {
      const asking = process({ mode: "hold" });
      assert.match(await asking.ask("swap.lock-source"), /lock-source was not approved/);
      await append(approved("lock-source"));
      assert.equal(await asking.ask("swap.lock-source"), "send");
      await append(givenUp);
      assert.match(await asking.ask("swap.lock-source"), /given up/);
    }),
  );

  it(
    "wait for an operator through restarts, whose word is asked for once",
    inWorld(async ({ process, steps, types }) => {
      const hold = { mode: "hold" };
      await process(hold).driver.advance("1");
      const again = process(hold);
      await again.driver.advance("1");
      assert.deepEqual(steps(), []);
      await again.braking.decisions.approve("1", { by: "operator", step: "lock-source" });
      await again.braking.decisions.approve("1", { by: "operator", step: "lock-source" });
      await process(hold).driver.advance("1");
      assert.deepEqual(steps(), ["swap.lock-source"]);
      assert.deepEqual(await types(), ["SwapRequested", "SwapApproved", "StepStarted"]);
    }),
  );

  it(
    "are decided by the hook before anything is submitted, and it is not asked again after a restart",
    inWorld(async ({ process, steps, swap, clock }) => {
      const hook = await startJsonServer();
      try {
        hook.respond = () => ({ status: 503, text: "" });
        const config = { url: hook.url, secret: { variable: "HOOK" } };
        const first = process(config);
        await first.driver.advance("1");
        const words = async () => (await first.braking.holds())(await swap())?.detail ?? "";
        await until(async () => /status 503/.test(await words()));
        assert.deepEqual(steps(), []);
        hook.respond = () => ({ json: { decision: "accept", reason: "within limits" } });
        await first.driver.advance("1");
        assert.equal(hook.bodies.length, 1, "not before the delay is over");
        clock.seconds += 5n;
        await first.driver.advance("1");
        await until(async () => (await swap()).approved.includes("lock-source"));
        assert.deepEqual(steps(), []);
        hook.respond = () => "die";
        await process(config).driver.advance("1");
        assert.deepEqual(steps(), ["swap.lock-source"]);
        assert.equal(hook.bodies.length, 2);
      } finally {
        await hook.close();
      }
    }),
  );

  it(
    "end the swap when the hook rejects them",
    inWorld(async ({ process, append, steps, swap, types }) => {
      await append(...sourceLocked);
      const hook = await startJsonServer();
      try {
        hook.respond = () => ({ json: { decision: "reject", reason: "limit reached" } });
        const { driver } = process({ url: hook.url, secret: { variable: "HOOK" } });
        await driver.advance("1");
        await until(async () => (await swap()).givenUp);
        assert.deepEqual((await types()).slice(-2), ["SwapRejected", "SwapGivenUp"]);
        assert.match((await swap()).givenUp?.detail ?? "", /lock-target was rejected by the hook: limit reached/);
        await driver.advance("1");
        await driver.advance("1");
        assert.deepEqual(steps(), ["swap.refund-early-source"]);
      } finally {
        await hook.close();
      }
    }),
  );

  it(
    "of one swap do not wait for the hook's answer about another, nor does whoever drives it",
    inWorld(async ({ process, steps }) => {
      const hook = await startJsonServer();
      const { driver, braking } = process({ url: hook.url, secret: { variable: "HOOK" }, timeoutMs: 60_000 });
      try {
        await driver.advance("1");
        await driver.advance("1");
        await until(() => hook.bodies.length === 1);
        assert.deepEqual(steps(), []);
      } finally {
        await braking.stop();
        await hook.close();
      }
    }),
  );
});
