import assert from "node:assert/strict";
import { it } from "node:test";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import type { IntentRequest, IntentStatus, Sender } from "#core/sender/sender.ts";
import { relayEvents, relayMigrations, relayProjections } from "#relay";
import type { MessageEvent } from "#relay/events.ts";
import { createLanes } from "#relay/lane.ts";
import { foldMessage } from "#relay/message.ts";
import { statusOf } from "#relay/progress.ts";
import { createMessageActions } from "#relay/retry.ts";
import { type DatabaseBackend, onDatabase, quietLog } from "../support/databases.ts";
import { sites } from "./gatewayLogs.ts";
import { events as e, openPolicy } from "./samples.ts";

/** One message with a story, and intents that end as told. */
async function open(backend: DatabaseBackend, story: readonly MessageEvent[]) {
  const database = await backend.open();
  const { db } = database;
  await migrate(db, [...eventMigrations, ...relayMigrations]);
  const store = createEventStore({
    ...{ db, log: quietLog, clock: systemClock, schemas: relayEvents, projections: relayProjections },
  });
  const intents = new Map<string, IntentStatus>();
  const submitted: IntentRequest[] = [];
  const sender: Sender = {
    submit: async (_tx, requests) => void submitted.push(...requests),
    find: async (_from, id) => intents.get(id),
    findByTransactions: async () => new Map(),
  };
  await db.tx((tx) => store.append(tx, [{ stream: "message-1", expected: 0, events: story }]));
  const lanes = createLanes({ chains: fixed(sites) });
  const clock = systemClock;
  const load = async () => foldMessage(await store.load<MessageEvent>(db, "message-1"))!;
  return {
    ...{ intents, submitted, close: database.close },
    actions: createMessageActions({
      ...{ db, store, sender, lanes, account: "relayer", clock, log: quietLog, retryFailed: true, random: () => 0.5 },
      policy: openPolicy,
    }),
    status: async () => statusOf((await load()).progress),
    failure: async () => (await load()).failure,
  };
}

const failed = [e.sent(), e.finalized(), e.failed()];
const reverts: IntentStatus = { state: "abandoned", reason: "reverts", detail: "UnknownDestination(2)" };

await onDatabase("what happens to a single message", (backend) => {
  const each = (
    name: string,
    story: readonly MessageEvent[],
    work: (o: Awaited<ReturnType<typeof open>>) => Promise<void>,
  ) =>
    it(name, async () => {
      const o = await open(backend, story);
      try {
        await work(o);
      } finally {
        await o.close();
      }
    });

  each(
    "is dropped with the reason when its transaction can never be sent, and only then",
    [e.submitted()],
    async (o) => {
      await o.actions.settle("1", "message-1-send");
      o.intents.set("message-1-send", { state: "sent" });
      await o.actions.settle("1", "message-1-send");
      assert.equal(await o.status(), "submitted");
      o.intents.set("message-1-send", reverts);
      await o.actions.settle("1", "message-1-send");
      await o.actions.settle("1", "message-1-send");
      assert.equal(await o.status(), "dropped");
      assert.deepEqual(await o.failure(), { code: "intent-reverts", detail: "UnknownDestination(2)" });
    },
  );

  each(
    "is not dropped by an intent that is not its own, or once it has its place",
    [e.submitted(), e.sent()],
    async (o) => {
      o.intents.set("message-1-send", reverts).set("other", reverts);
      await o.actions.settle("1", "message-1-send");
      await o.actions.settle("1", "other");
      assert.equal(await o.status(), "sent");
    },
  );

  each("is retried once at a time, each time as an intent of its own", failed, async (o) => {
    await o.actions.retry("1");
    await assert.rejects(o.actions.retry("1"), (error) => isLockstepError(error, "message-not-failed"));
    assert.equal(await o.status(), "delivering");
    o.intents.set("message-1-retry-1", reverts).set("message-2-retry-1", reverts);
    // The end of another message's retry says nothing about this one's, whoever tells it.
    await o.actions.settle("1", "message-2-retry-1");
    assert.equal(await o.status(), "delivering");
    await o.actions.settle("1", "message-1-retry-1");
    await o.actions.settle("1", "message-1-retry-1");
    assert.equal(await o.status(), "failed");
    await o.actions.retry("1");
    // The end of the first retry, heard again, says nothing about the second.
    await o.actions.settle("1", "message-1-retry-1");
    assert.equal(await o.status(), "delivering");
    assert.deepEqual(
      o.submitted.map(({ id, chain, dryRun }) => [id, chain, dryRun]),
      [
        ["message-1-retry-1", "beta", true],
        ["message-1-retry-2", "beta", true],
      ],
    );
  });

  each("cannot be retried when it is not known", [e.submitted()], async (o) => {
    await assert.rejects(o.actions.retry("2"), (error) => isLockstepError(error, "not-found"));
  });
});
