import type { Db, Tx } from "#core/db/db.ts";
import type { Append, EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import type { IntentRequest, Sender } from "#core/sender/sender.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { type FailedPlace, type FailureFilter, failedPlaces } from "./failures.ts";
import { historyOf } from "./history.ts";
import { failureOf, retryIntent } from "./intents.ts";
import { type LaneEnds, type Lanes, laneName } from "./lane.ts";
import { type Failure, foldMessage, type Message } from "./message.ts";
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
  /** From 0 to 1; spreads attempts that failed together. */
  random(): number;
};

/** Which messages to retry: those that failed or were given up, and fit everything that is named. */
export type RetryFilter = FailureFilter & { readonly recipient?: string | undefined };

/** What happens to a single message outside the lane's order. */
export type MessageActions = {
  /**
   * Executes a failed message again, or lets the lane try one again that was given up before its delivery. The ramp
   * begins anew. Throws `not-found` or `message-not-failed`.
   */
  retry(id: string): Promise<void>;
  /**
   * As `retry`, for all that fit, at most so many at a time; answers which. Those of lanes that are paused or not served
   * stand in nobody's way, unless it is their lane that is named.
   */
  retryAll(filter: RetryFilter, limit: number): Promise<string[]>;
  /** No further attempt by itself. Throws `not-found` or `message-not-failed`. */
  abandon(id: string): Promise<void>;
  /** Takes the due retry of a failed message: tried without sending first, which costs nothing. */
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

  /** A retry that failed or would: the next one by the ramp, or none. */
  function missed({ id, progress, attempts }: Message, attempt: number, failure: Failure): MessageEvent[] {
    const { origin, destination } = progress;
    const data = { origin, destination, attempt, ...failure };
    if (!deps.retryFailed || attempts.abandoned) return [{ type: "RetryFailed", data }];
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

  /** Why a retry would fail now; undefined when it would not. */
  async function wouldFail({ progress }: Message, { call, gas }: IntentRequest): Promise<Failure | undefined> {
    if (!("to" in call)) return undefined;
    try {
      await lanes.get(progress).to.chain.call({ ...call, gas }, "pending");
      return undefined;
    } catch (error) {
      if (!isLockstepError(error, "call-reverted")) throw error;
      return { code: "retry-reverts", detail: error.message };
    }
  }

  return {
    async retry(id) {
      const message = await load(id);
      const wanted = revival(message);
      if (wanted) return db.tx((tx) => write(tx, [wanted]));
      throw notFailed(message, "retried");
    },
    async retryAll({ recipient, ...filter }, limit) {
      const fits = ({ progress, content }: Message) =>
        (recipient === undefined || content?.recipient === recipient) &&
        (filter.origin !== undefined || isOpen(lanes.find(progress)));
      const revivals: ({ id: string } & NonNullable<ReturnType<typeof revival>>)[] = [];
      for (let after: FailedPlace | undefined; revivals.length < limit; ) {
        const places = await failedPlaces(db, filter, limit, after);
        const found = (await Promise.all(places.map(({ id }) => find(id)))).flatMap((message) => message ?? []);
        const made = found.filter(fits).flatMap((message) => {
          const revived = revival(message);
          return revived ? [{ id: message.id, ...revived }] : [];
        });
        revivals.push(...made.slice(0, limit - revivals.length));
        after = places.at(-1);
        if (places.length < limit) break;
      }
      if (revivals.length > 0) await db.tx((tx) => write(tx, revivals));
      return revivals.map(({ id }) => id);
    },
    async abandon(id) {
      const message = await load(id);
      const { origin, destination } = message.progress;
      if (statusOf(message.progress) !== "failed") throw notFailed(message, "abandoned");
      if (message.attempts.abandoned) return;
      const abandoned: MessageEvent = { type: "MessageAbandoned", data: { origin, destination } };
      await db.tx((tx) => store.append(tx, [appendTo(message, [abandoned])]));
    },
    async retryDue(id) {
      const message = await load(id);
      const { retryAt } = message.attempts;
      if (statusOf(message.progress) !== "failed" || retryAt === undefined || retryAt > BigInt(clock.now())) return;
      const { origin, destination } = message.progress;
      const { intent, attempt } = intentOf(message);
      const failure = await wouldFail(message, intent);
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
      } else if (retry?.running && intentId.endsWith(`-retry-${retry.attempt}`)) {
        events.push(...missed(message, retry.attempt, failure));
      }
      if (events.length === 0) return;
      await db.tx((tx) => store.append(tx, [appendTo(message, events)]));
    },
  };
}

const isOpen = (lane: LaneEnds | undefined): boolean => lane !== undefined && lane.hold === undefined;

function notFailed({ progress }: Message, done: string): LockstepError {
  const status = statusOf(progress);
  return new LockstepError("message-not-failed", `the message is ${status}; only a failed one can be ${done}`, {
    details: { status },
  });
}
