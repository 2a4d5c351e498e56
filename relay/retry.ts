import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Sender } from "#core/sender/sender.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { historyOf } from "./history.ts";
import { failureOf, retryIntent } from "./intents.ts";
import type { Lanes } from "./lane.ts";
import { foldMessage, type Message } from "./message.ts";
import { statusOf } from "./progress.ts";

type Deps = { db: Db; store: EventStore; sender: Sender; lanes: Lanes; account: string };

/** What happens to a single message outside the lane's order. */
export type MessageActions = {
  /** Executes a failed message again. Throws `not-found`, `message-not-failed`, `lane-paused` or `chain-paused`. */
  retry(id: string): Promise<void>;
  /** Notes that a transaction of the message (its sending or a retry) has ended without effect. */
  settle(id: string, intentId: string): Promise<void>;
};

export function createMessageActions(deps: Deps): MessageActions {
  const { db, store, sender, lanes } = deps;

  async function load(id: string): Promise<Message> {
    const message = foldMessage(await historyOf(store, db, id));
    if (message) return message;
    throw new LockstepError("not-found", "there is no message with this id", { details: { field: "id" } });
  }

  return {
    async retry(id) {
      const { progress, content, version } = await load(id);
      const status = statusOf(progress);
      if (status !== "failed" || !progress.sent || !content) {
        throw new LockstepError("message-not-failed", `the message is ${status}; only a failed one can be retried`, {
          details: { status },
        });
      }
      const lane = lanes.get(progress);
      if (lane.hold) throw new LockstepError(lane.hold.code, lane.hold.detail);
      const attempt = (progress.retry?.attempt ?? 0) + 1;
      const intent = retryIntent(lane, { id, nonce: progress.sent.nonce, content, attempt }, deps.account);
      const { origin, destination } = progress;
      const started: MessageEvent = {
        type: "RetryStarted",
        data: { origin, destination, intentId: intent.id, attempt },
      };
      await db.tx(async (tx) => {
        await sender.submit(tx, [intent]);
        await store.append(tx, [{ stream: messageStream(id), expected: version, events: [started] }]);
      });
    },
    async settle(id, intentId) {
      const failure = failureOf(await sender.find(db, intentId));
      if (!failure) return;
      const { progress, requested, version } = await load(id);
      const { origin, destination, retry } = progress;
      const lane = { origin, destination };
      const events: MessageEvent[] = [];
      if (requested?.intentId === intentId && !progress.sent && !progress.dropped) {
        events.push({ type: "MessageDropped", data: { ...lane, ...failure } });
      } else if (retry?.running && intentId.endsWith(`-retry-${retry.attempt}`)) {
        events.push({ type: "RetryFailed", data: { ...lane, attempt: retry.attempt, ...failure } });
      }
      if (events.length === 0) return;
      await db.tx((tx) => store.append(tx, [{ stream: messageStream(id), expected: version, events }]));
    },
  };
}
