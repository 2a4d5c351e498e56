import type { Db, Tx } from "#core/db/db.ts";
import type { Append, EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import type { IntentRequest, Sender } from "#core/sender/sender.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { failedMessages, type RetryFilter } from "./failedMessages.ts";
import { historyOf } from "./history.ts";
import { failureOf, retryIntent, retryIntentId } from "./intents.ts";
import { type LaneEnds, type Lanes, laneName } from "./lane.ts";
import { type Failure, foldMessage, type Message, neverRuns } from "./message.ts";
import type { Policy } from "./policy.ts";
import { statusOf } from "./progress.ts";
import { nextAttempt } from "./ramp.ts";
import { reasonCodeOf } from "./reasons.ts";

type Deps = {
  db: Db;
  store: EventStore;
  sender: Sender;
  lanes: Lanes;
  clock: Clock;
  log: Log;
  account: string;
  /** Whether failed messages are retried without being asked. */
  retryFailed: boolean;
  policy: Pick<Policy, "denial">;
  /** From 0 to 1; spreads attempts that failed together. */
  random(): number;
};

/** What happens to a single message outside the lane's order. */
export type MessageActions = {
  /**
   * Executes a failed message again, or lets the lane try one again that was given up before its delivery. The ramp
   * begins anew. Throws `not-found`, `message-not-failed` or `message-ended`.
   */
  retry(id: string): Promise<void>;
  /**
   * As `retry`, for all that fit, at most so many at a time; answers which. Messages of lanes that are not served now
   * are passed over. Throws `lane-unknown` when one of those was asked for, and what keeps a lane that is served.
   */
  retryAll(filter: RetryFilter, limit: number): Promise<string[]>;
  /** No further attempt by itself. Throws `not-found`, `message-not-failed` or `message-ended`. */
  abandon(id: string): Promise<void>;
  /**
   * Takes the due retry of a failed message: tried without sending first, which costs nothing. One that policy denies,
   * which others have delivered, is abandoned.
   */
  retryDue(id: string): Promise<void>;
  /** Notes that a transaction of the message (its sending or a retry) has ended without effect. */
  settle(id: string, intentId: string): Promise<void>;
};

export function createMessageActions(deps: Deps): MessageActions {
  const { db, store, sender, lanes, clock } = deps;

  async function find(id: string): Promise<Message | undefined> {
    return foldMessage(await historyOf(store, db, id));
  }

  async function load(id: string): Promise<Message> {
    const message = await find(id);
    if (message) return message;
    throw new LockstepError("not-found", "there is no message with this id", { details: { field: "id" } });
  }

  function intentOf({ id, progress, content }: Message): { attempt: number; intent: IntentRequest } {
    if (!progress.sent || !content) throw new Error(`message ${id} failed without a place or content`);
    const attempt = (progress.retry?.attempt ?? 0) + 1;
    const message = { id, nonce: progress.sent.nonce, content, attempt };
    return { attempt, intent: retryIntent(lanes.get(progress), message, deps.account) };
  }

  const appendTo = ({ id, version }: Message, events: readonly MessageEvent[]): Append => ({
    stream: messageStream(id),
    expected: version,
    events,
  });

  /** What asking for another attempt writes; undefined when there is nothing to attempt. */
  function revival(message: Message): { intent?: IntentRequest; append: Append } | undefined {
    const { origin, destination, delivery } = message.progress;
    const lane = { origin, destination };
    const status = statusOf(message.progress);
    const revived: MessageEvent = { type: "MessageRevived", data: { ...lane, retryAt: BigInt(clock.now()) } };
    if (status === "failed") {
      const { hold } = lanes.get(message.progress);
      if (hold) throw new LockstepError(hold.code, hold.detail);
      const { intent, attempt } = intentOf(message);
      const started: MessageEvent = { type: "RetryStarted", data: { ...lane, intentId: intent.id, attempt } };
      return { intent, append: appendTo(message, [revived, started]) };
    }
    const isGivenUp = message.attempts.dead !== undefined && delivery !== undefined && status !== "delivered";
    return isGivenUp ? { append: appendTo(message, [revived]) } : undefined;
  }

  async function write(tx: Tx, revivals: readonly { intent?: IntentRequest; append: Append }[]): Promise<void> {
    const intents = revivals.flatMap(({ intent }) => intent ?? []);
    if (intents.length > 0) await sender.submit(tx, intents);
    await store.append(
      tx,
      revivals.map(({ append }) => append),
    );
  }

  /** What asking for all that fit writes, for so many of them. */
  async function revivals(filter: RetryFilter, limit: number) {
    const { origin, destination } = filter;
    const isNamed = origin !== undefined && destination !== undefined;
    if (isNamed && !lanes.find({ origin, destination })) {
      throw new LockstepError("lane-unknown", `no messages are carried from ${origin} to ${destination}`, {
        details: { field: "lane", known: lanes.all.map(laneName) },
      });
    }
    const found: { id: string; intent?: IntentRequest; append: Append }[] = [];
    for await (const message of failedMessages(deps, filter)) {
      const made = isNamed || isServed(lanes, message) ? revival(message) : undefined;
      if (made) found.push({ id: message.id, ...made });
      if (found.length === limit) break;
    }
    return found;
  }

  async function abandon(message: Message): Promise<void> {
    const { origin, destination } = message.progress;
    const abandoned: MessageEvent = { type: "MessageAbandoned", data: { origin, destination } };
    await db.tx((tx) => store.append(tx, [appendTo(message, [abandoned])]));
  }

  /** A retry that failed or would: the next one by the ramp, or none. */
  function missed(message: Message, attempt: number, failure: Failure): MessageEvent[] {
    const { id, progress, attempts } = message;
    const { origin, destination } = progress;
    const data = { origin, destination, attempt, ...failure };
    if (!deps.retryFailed || attempts.abandoned || neverRuns(message)) return [{ type: "RetryFailed", data }];
    const misses = attempts.misses + 1;
    const next = nextAttempt(reasonCodeOf(failure.code), misses, deps.random());
    if (next !== "dead") {
      return [{ type: "RetryFailed", data: { ...data, retryAt: BigInt(clock.now() + next.delayMs) } }];
    }
    deps.log.error({ lane: laneName(progress), message: id, attempts: misses }, "message is a dead letter");
    const dead: MessageEvent = {
      type: "MessageDeadLettered",
      data: { origin, destination, ...failure, attempts: misses },
    };
    return [{ type: "RetryFailed", data }, dead];
  }

  return {
    async retry(id) {
      const message = await load(id);
      const wanted = revival(message);
      if (wanted) return db.tx((tx) => write(tx, [wanted]));
      throw notFailed(message, "retried");
    },
    async retryAll(filter, limit) {
      const wanted = await revivals(filter, limit);
      if (wanted.length > 0) await db.tx((tx) => write(tx, wanted));
      return wanted.map(({ id }) => id);
    },
    async abandon(id) {
      const message = await load(id);
      if (statusOf(message.progress) !== "failed") throw notFailed(message, "abandoned");
      if (!message.attempts.abandoned) await abandon(message);
    },
    async retryDue(id) {
      const message = await load(id);
      const { retryAt } = message.attempts;
      if (statusOf(message.progress) !== "failed" || retryAt === undefined || retryAt > BigInt(clock.now())) return;
      const { origin, destination } = message.progress;
      if (message.content && deps.policy.denial(message.content)) return abandon(message);
      const { intent, attempt } = intentOf(message);
      const failure = await wouldFail(lanes.get(message.progress), intent);
      const started: MessageEvent = {
        type: "RetryStarted",
        data: { origin, destination, intentId: intent.id, attempt },
      };
      const events = failure ? missed(message, attempt, failure) : [started];
      await db.tx(async (tx) => {
        if (!failure) await sender.submit(tx, [intent]);
        await store.append(tx, [appendTo(message, events)]);
      });
    },
    async settle(id, intentId) {
      const failure = failureOf(await sender.find(db, intentId));
      if (!failure) return;
      const message = await load(id);
      const { progress, requested } = message;
      const { origin, destination, retry } = progress;
      const events: MessageEvent[] = [];
      if (requested?.intentId === intentId && !progress.sent && !progress.dropped) {
        events.push({ type: "MessageDropped", data: { origin, destination, ...failure } });
      } else if (retry?.running && intentId === retryIntentId(id, retry.attempt)) {
        events.push(...missed(message, retry.attempt, failure));
      }
      if (events.length === 0) return;
      await db.tx((tx) => store.append(tx, [appendTo(message, events)]));
    },
  };
}

/** Why a retry would fail now; undefined when it would not. */
async function wouldFail({ to }: LaneEnds, { call, gas }: IntentRequest): Promise<Failure | undefined> {
  if (!("to" in call)) return undefined;
  try {
    await to.chain.call({ ...call, gas }, "pending");
    return undefined;
  } catch (error) {
    if (!isLockstepError(error, "call-reverted")) throw error;
    return { code: "retry-reverts", detail: error.message };
  }
}

function isServed(lanes: Lanes, { progress }: Message): boolean {
  const lane = lanes.find(progress);
  return lane !== undefined && lane.hold === undefined;
}

function notFailed({ progress }: Message, done: string): LockstepError {
  const status = statusOf(progress);
  // One that failed and comes here is one that the destination will not execute again.
  const code = ["delivered", "dropped", "failed"].includes(status) ? "message-ended" : "message-not-failed";
  return new LockstepError(code, `the message is ${status}; only a failed one can be ${done}`, {
    details: { status },
  });
}
