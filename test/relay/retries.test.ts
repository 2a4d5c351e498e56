import assert from "node:assert/strict";
import { it } from "node:test";
import { encodeErrorResult, numberToHex } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import { untraced } from "#core/observe/tracing.ts";
import type { IntentStatus, Sender } from "#core/sender/sender.ts";
import { relayEvents, relayMigrations, relayProjections } from "#relay";
import { createAsking } from "#relay/ask.ts";
import { type MessageEvent, messageStream } from "#relay/events.ts";
import { failedMessages } from "#relay/failedMessages.ts";
import { failedPlaces } from "#relay/failures.ts";
import { createLanes } from "#relay/lane.ts";
import { createRelayQueries } from "#relay/queries.ts";
import { attemptsOf } from "#relay/ramp.ts";
import { createRetrier } from "#relay/retrier.ts";
import { createMessageActions } from "#relay/retry.ts";
import { createSettleSweep } from "#relay/sweep.ts";
import { type DatabaseBackend, onDatabase, quietLog } from "../support/databases.ts";
import { sites } from "./gatewayLogs.ts";
import { book, events as e, hashOf, openPolicy } from "./samples.ts";

const day = 24 * 3_600_000;
const reverted = new LockstepError("call-reverted", "the call reverts with Rejected(no)");

/** Messages with stories, a destination that takes retries or not, and everything that retries them. */
async function open(backend: DatabaseBackend, stories: Record<string, readonly MessageEvent[]>, retryFailed = true) {
  const database = await backend.open();
  const { db } = database;
  await migrate(db, [...eventMigrations, ...relayMigrations]);
  const scene = {
    now: 1_000_000,
    refuses: true,
    paused: false,
    calls: 0,
    down: false,
    denied: "",
    broken: (_id: string): boolean => false,
  };
  const clock: Clock = { now: () => scene.now, sleep: async () => undefined };
  const store = createEventStore({
    ...{ db, log: quietLog, clock, schemas: relayEvents, projections: relayProjections },
  });
  const intents = new Map<string, IntentStatus>();
  const sender: Sender = {
    submit: async (_tx, requests) => requests.forEach(({ id }) => void intents.set(id, { state: "queued" })),
    find: async (_from, id) => intents.get(id),
    findByTransactions: async () => new Map(),
  };
  const chain = {
    ...sites.beta.chain,
    storage: async (): Promise<Hex> => {
      if (scene.down) throw new LockstepError("chain-unreachable", "gone");
      return numberToHex(scene.paused ? 1n << 96n : 0n, { size: 32 });
    },
    call: async (): Promise<Hex> => {
      scene.calls += 1;
      if (scene.refuses) throw reverted;
      return "0x";
    },
  };
  const lanes = createLanes({ chains: fixed({ ...sites, beta: { ...sites.beta, chain } }) });
  const lane = lanes.get({ origin: "alpha", destination: "beta" });
  const parts = { db, store, sender, lanes, clock, log: quietLog, account: "relayer" };
  const policy = {
    ...openPolicy,
    deniesLane: () => scene.denied === "lane",
    denial: ({ sender }: { sender: Hex }) => (scene.denied === sender ? "no" : undefined),
  };
  const actions = createMessageActions({ ...parts, policy, retryFailed, random: () => 0.5 });
  const retryDue = async (id: string) => {
    if (scene.broken(id)) throw new LockstepError("chain-request-refused", "no such thing");
    await actions.retryDue(id);
  };
  const retrier = createRetrier({ db, clock, log: quietLog, actions: { retryDue }, policy });
  const queries = createRelayQueries({
    db,
    store,
    lanes,
    book,
    asking: createAsking({ timeoutMs: 500, around: untraced.around }),
    clock,
    sender: {},
    retryFailed,
  });
  for (const [id, story] of Object.entries(stories)) {
    await db.tx((tx) => store.append(tx, [{ stream: messageStream(id), expected: 0, events: story }]));
  }
  return {
    ...{
      db,
      store,
      scene,
      intents,
      actions,
      queries,
      sweep: createSettleSweep({ db, actions }),
      close: database.close,
    },
    /** Takes what is due after so many milliseconds. */
    async pass(ms: number) {
      scene.now += ms;
      while (await retrier.step(lane));
    },
    reason: async (id = "1") => (await queries.message(id)).reason,
  };
}

const failed = (nonce = 1n) => [e.sent(nonce), e.finalized(), e.failed()];
const deferral = (): MessageEvent => ({
  ...(e.failed() as Extract<MessageEvent, { type: "MessageFailed" }>),
  data: {
    ...(e.failed() as Extract<MessageEvent, { type: "MessageFailed" }>).data,
    reason: encodeErrorResult({ abi: gatewayAbi, errorName: "Deferred", args: [hashOf(1)] }),
  },
});

const ofLane = (event: MessageEvent, origin: string) => ({ ...event, data: { ...event.data, origin } }) as MessageEvent;

const skipped = (retryable: boolean): MessageEvent => {
  const event = e.skipped() as Extract<MessageEvent, { type: "MessageSkipped" }>;
  return { ...event, data: { ...event.data, retryable } };
};

await onDatabase("a message that failed", (backend) => {
  type Opened = Awaited<ReturnType<typeof open>>;
  const each = (
    name: string,
    stories: Record<string, readonly MessageEvent[]>,
    work: (o: Opened) => Promise<void>,
    retryFailed = true,
  ) =>
    it(name, async () => {
      const o = await open(backend, stories, retryFailed);
      try {
        await work(o);
      } finally {
        await o.close();
      }
    });

  each(
    "is retried by itself once trying says that it would succeed, and nothing is sent before",
    { 1: failed() },
    async (o) => {
      await o.pass(1_000);
      assert.equal(o.scene.calls, 0);
      await o.pass(4_000);
      assert.deepEqual([o.scene.calls, o.intents.size], [1, 0]);
      const { code, nextAttemptAt, attempt, attempts, message } = await o.reason();
      assert.deepEqual([code, attempt, attempts], ["execution-failed", 2, attemptsOf("retry-reverts")]);
      assert.equal(nextAttemptAt, new Date(o.scene.now + 5_000).toISOString());
      assert.match(message, /Rejected/);
      o.scene.refuses = false;
      await o.pass(10_000);
      assert.deepEqual([...o.intents.keys()], ["message-1-retry-2"]);
      assert.equal((await o.queries.message("1")).status, "delivering");
      // On chain it fails after all: the ramp goes on where it was.
      o.intents.set("message-1-retry-2", { state: "abandoned", reason: "reverts", detail: "no" });
      await o.actions.settle("1", "message-1-retry-2");
      assert.equal((await o.reason()).attempt, 3);
    },
  );

  each("is a dead letter after the last attempt, and begins anew when asked", { 1: failed() }, async (o) => {
    const attempts = attemptsOf("retry-reverts") ?? 0;
    for (let n = 0; n < attempts + 3; n++) await o.pass(day);
    assert.equal(o.scene.calls, attempts);
    const view = await o.queries.message("1");
    assert.deepEqual([view.status, view.deadLettered, view.reason.code], ["failed", true, "dead-lettered"]);
    assert.equal(view.reason.nextAttemptAt, undefined);
    const listed = async (deadLettered: boolean) =>
      (await o.queries.messages({ deadLettered, limit: 9 })).messages.length;
    assert.deepEqual([await listed(true), await listed(false)], [1, 0]);
    await o.actions.retry("1");
    assert.deepEqual([await listed(true), await listed(false)], [0, 1]);
    const intent = `message-1-retry-${attempts + 1}`;
    assert.deepEqual([...o.intents.keys()], [intent]);
    o.intents.set(intent, { state: "abandoned", reason: "reverts", detail: "no" });
    await o.actions.settle("1", intent);
    assert.equal((await o.reason()).attempt, 2);
  });

  each("is left alone once it is abandoned, until somebody asks", { 1: failed() }, async (o) => {
    await o.actions.abandon("1");
    await o.actions.abandon("1");
    await o.pass(day);
    assert.deepEqual([o.scene.calls, (await o.reason()).code], [0, "abandoned"]);
    await o.actions.retry("1");
    assert.equal((await o.queries.message("1")).status, "delivering");
    await assert.rejects(o.actions.abandon("1"), (error) => isLockstepError(error, "message-not-failed"));
  });

  each("is not retried by itself where policy denies it, though others delivered it", { 1: failed() }, async (o) => {
    o.scene.refuses = false;
    o.scene.denied = "lane";
    await o.pass(day);
    assert.deepEqual([o.scene.calls, (await o.reason()).code], [0, "execution-failed"]);
    o.scene.denied = (await o.queries.message("1")).sender;
    await o.pass(day);
    await o.pass(day);
    assert.deepEqual([o.scene.calls, o.intents.size, (await o.reason()).code], [0, 0, "abandoned"]);
    await o.actions.retry("1");
    assert.equal(o.intents.size, 1);
  });

  each("uses up no attempt while its destination is paused or does not answer", { 1: failed() }, async (o) => {
    o.scene.paused = true;
    await o.pass(60_000);
    o.scene.paused = false;
    o.scene.down = true;
    await o.pass(60_000);
    assert.equal(o.scene.calls, 0);
    o.scene.down = false;
    await o.pass(60_000);
    assert.deepEqual([o.scene.calls, (await o.reason()).attempt], [1, 2]);
  });

  each(
    "is retried though others before it, more than are taken in a look, cannot even be tried",
    { ...Object.fromEntries(Array.from({ length: 12 }, (_, n) => [`b${n}`, failed(BigInt(n + 1))])), z: failed(13n) },
    async (o) => {
      o.scene.refuses = false;
      o.scene.broken = (id) => id !== "z";
      await o.pass(60_000);
      assert.deepEqual([...o.intents.keys()], ["message-z-retry-1"]);
      o.scene.broken = () => false;
      await o.pass(60_000);
      assert.equal(o.intents.size, 13);
    },
  );

  each(
    "is retried only when asked where an operator deferred it",
    { 1: [e.sent(), e.finalized(), deferral()] },
    async (o) => {
      await o.pass(day);
      assert.deepEqual([o.scene.calls, (await o.reason()).code], [0, "deferred"]);
      await o.actions.retry("1");
      assert.equal(o.intents.size, 1);
    },
  );

  each(
    "is retried only when asked where that is configured",
    { 1: failed() },
    async (o) => {
      const { nextAttemptAt } = await o.reason();
      assert.equal(nextAttemptAt, undefined);
      await o.actions.retry("1");
      o.intents.set("message-1-retry-1", { state: "abandoned", reason: "reverts", detail: "no" });
      await o.actions.settle("1", "message-1-retry-1");
      const { reason, deadLettered } = await o.queries.message("1");
      assert.deepEqual([reason.code, reason.nextAttemptAt, deadLettered], ["execution-failed", undefined, false]);
    },
    false,
  );

  each(
    "is found by lane, recipient, time and code, each message once",
    { 1: failed(1n), 2: [...failed(2n), e.delivered()], 3: [e.sent(3n), e.finalized(), deferral()], 4: [e.sent(4n)] },
    async (o) => {
      const lane = { origin: "alpha", destination: "beta" };
      assert.deepEqual(await o.actions.retryAll({ origin: "beta", destination: "alpha" }, 10), []);
      await assert.rejects(
        o.actions.retryAll({ origin: "alpha", destination: "gamma" }, 10),
        (error) => isLockstepError(error, "lane-unknown") && error.details.field === "lane",
      );
      assert.deepEqual(await o.actions.retryAll({ recipient: hashOf(1) }, 10), []);
      assert.deepEqual(await o.actions.retryAll({ ...lane, from: o.scene.now + 1 }, 10), []);
      assert.deepEqual(await o.actions.retryAll({ ...lane, code: "deferred" }, 10), ["3"]);
      assert.deepEqual(await o.actions.retryAll({ to: o.scene.now }, 10), ["1"]);
      assert.deepEqual(await o.actions.retryAll({ to: o.scene.now }, 10), []);
    },
  );

  each("is found by the reason that it shows, and by what its last retry failed with", { 1: failed() }, async (o) => {
    await o.pass(5_000);
    assert.equal((await o.reason()).code, "execution-failed");
    for (const code of ["execution-failed", "retry-reverts"]) {
      const found = failedMessages(o, { code });
      assert.equal((await found.next()).value?.id, "1", code);
    }
    assert.deepEqual(await o.actions.retryAll({ code: "abandoned" }, 10), []);
    await o.actions.abandon("1");
    assert.deepEqual(await o.actions.retryAll({ code: "execution-failed" }, 10), []);
    assert.deepEqual(await o.actions.retryAll({ code: "abandoned" }, 10), ["1"]);
  });

  each(
    "is found behind any number that do not fit, and those of lanes that are not served are passed over",
    {
      ...Object.fromEntries(
        Array.from({ length: 230 }, (_, index) => [
          `m${String(index).padStart(3, "0")}`,
          [ofLane(e.sent(BigInt(index + 1)), "gamma"), ofLane(e.finalized(), "gamma"), ofLane(e.failed(), "gamma")],
        ]),
      ),
      z: failed(),
    },
    async (o) => {
      const { recipient } = (e.sent() as Extract<MessageEvent, { type: "MessageSent" }>).data;
      await assert.rejects(o.actions.retryAll({ origin: "gamma", destination: "beta" }, 10), /gamma/);
      assert.deepEqual(await o.actions.retryAll({ recipient }, 10), ["z"]);
      assert.deepEqual(await o.actions.retryAll({}, 10), []);
    },
  );

  each(
    "is no dead letter once others executed it and that was undone",
    {
      1: [e.sent(), e.finalized(), e.deliveryFailed(1), e.deadLettered(), e.delivered(), e.undone()],
    },
    async (o) => {
      assert.equal((await o.queries.message("1")).deadLettered, false);
      assert.deepEqual((await o.queries.messages({ deadLettered: true, limit: 9 })).messages, []);
    },
  );

  each(
    "is retried by itself again when a retry had executed it and that was undone",
    { 1: [...failed(), e.retryStarted(), e.delivered(25n), e.undone()] },
    async (o) => {
      o.scene.refuses = false;
      await o.pass(60_000);
      assert.deepEqual([...o.intents.keys()], ["message-1-retry-2"]);
    },
  );

  each(
    "is retried as before once its origin has it again under the same id after a reorganisation",
    {
      1: [...failed(1n), e.reorged()],
      2: [...failed(2n), e.reorged(), e.sent(2n, 11n), e.finalized()],
      3: [e.sent(3n), e.finalized(), e.deliveryFailed(1), e.deadLettered(), e.reorged(), e.sent(3n, 11n)],
      4: [e.sent(4n), e.finalized(), skipped(true), e.deadLettered(), e.reorged(), e.sent(4n, 11n), e.finalized()],
    },
    async (o) => {
      const { code, nextAttemptAt } = await o.reason("2");
      assert.deepEqual([code, nextAttemptAt !== undefined], ["execution-failed", true]);
      o.scene.refuses = false;
      await o.pass(60_000);
      assert.deepEqual([...o.intents.keys()], ["message-2-retry-1"]);
      const views = (await o.queries.messages({ deadLettered: true, limit: 9 })).messages;
      assert.deepEqual(
        views.map(({ id, deadLettered }) => [id, deadLettered]),
        [["4", true]],
      );
      assert.deepEqual(await o.actions.retryAll({}, 10), ["4"]);
    },
  );

  it("before there was a table of failures is in it afterwards", async () => {
    const { db, close } = await backend.open();
    const first = relayMigrations.findIndex(({ id }) => id === "relay/005-failures");
    try {
      await migrate(db, [...eventMigrations, ...relayMigrations.slice(0, first)]);
      const columns = "id, version, position, origin, destination, status, submitted, dropped, sent_final, attested";
      const finals = "failed_final, executed_final, retry_running, failed_block, executed_block";
      await db.query(
        `INSERT INTO relay_messages (${columns}, ${finals}) VALUES
           ('failed', 3, 1, 'alpha', 'beta', 'failed', false, false, true, false, true, false, false, 7, NULL),
           ('retried', 5, 4, 'alpha', 'beta', 'delivered', false, false, true, false, true, false, false, 7, 9)`,
      );
      await migrate(db, [...eventMigrations, ...relayMigrations]);
      assert.deepEqual(
        (await failedPlaces(db, {}, undefined, 9)).map(({ id }) => id),
        ["failed"],
      );
    } finally {
      await close();
    }
  });

  each(
    "whose transaction has ended is noticed without the job that should have told",
    { 1: [e.submitted()], 2: [...failed(), e.retryStarted()], 3: [e.submitted()] },
    async (o) => {
      o.intents.set("message-1-send", { state: "abandoned", reason: "reverts", detail: "no" });
      o.intents.set("message-2-retry-1", { state: "abandoned", reason: "expired", detail: "late" });
      o.intents.set("message-3-send", { state: "sent" });
      await o.sweep();
      const statuses = await Promise.all(["1", "2", "3"].map(async (id) => (await o.queries.message(id)).status));
      assert.deepEqual(statuses, ["dropped", "failed", "submitted"]);
    },
  );

  each(
    "before a realignment is retried no more where it may not run, though a retry was on its way or is asked for",
    {
      1: [...failed(1n), skipped(false)],
      2: [...failed(2n), e.retryStarted(), skipped(false)],
      3: [...failed(3n), e.deadLettered(), skipped(true)],
      4: [...failed(4n), skipped(false), e.undone("failed"), e.failed(25n)],
    },
    async (o) => {
      o.intents.set("message-2-retry-1", { state: "abandoned", reason: "reverts", detail: "NotRetryable" });
      await o.actions.settle("2", "message-2-retry-1");
      for (const id of ["1", "2"]) {
        const { code, message, nextAttemptAt } = await o.reason(id);
        assert.deepEqual([code, nextAttemptAt], ["lane-realigned", undefined]);
        assert.match(message, /reverted.*realigned.*does not run/);
      }
      assert.equal((await o.reason("4")).code, "execution-failed");
      o.scene.refuses = false;
      await o.pass(day);
      assert.deepEqual([...o.intents.keys()].sort(), ["message-2-retry-1", "message-3-retry-1", "message-4-retry-1"]);
    },
  );

  each(
    "after a realignment is retried where it may run, and said never to run where not",
    { 1: [e.sent(1n), e.finalized(), skipped(true)], 2: [e.sent(2n), e.finalized(), skipped(false)] },
    async (o) => {
      assert.deepEqual([(await o.reason("1")).code, (await o.reason("2")).code], ["lane-realigned", "lane-realigned"]);
      assert.match((await o.reason("2")).message, /does not run/);
      o.scene.refuses = false;
      await o.pass(60_000);
      assert.deepEqual([...o.intents.keys()], ["message-1-retry-1"]);
    },
  );
});
