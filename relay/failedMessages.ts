import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { type FailureFilter, type FailurePlace, failedPlaces } from "./failures.ts";
import { historiesOf } from "./history.ts";
import { codeOfFailed, foldMessage, type Message } from "./message.ts";
import { statusOf } from "./progress.ts";

/** Which messages to retry: those that failed or were given up, and fit everything that is named. */
export type RetryFilter = FailureFilter & {
  readonly recipient?: string | undefined;
  /** Why it is where it is, or what its last attempt failed with. */
  readonly code?: string | undefined;
};

/** Failures read at a time. */
const pageSize = 200;

/** The messages that fit, those that failed first before others; read as far as the caller goes on. */
export async function* failedMessages(
  { db, store }: { db: Db; store: EventStore },
  { recipient, code, ...filter }: RetryFilter,
): AsyncGenerator<Message> {
  for (let after: FailurePlace | undefined; ; ) {
    const places = await failedPlaces(db, filter, after, pageSize);
    const ids = places.map(({ id }) => id);
    const histories = await historiesOf(store, db, ids);
    for (const id of ids) {
      const message = foldMessage(histories.get(id) ?? []);
      if (message === undefined) continue;
      const isOfCode = code === undefined || codesOf(message).includes(code);
      if (isOfCode && (recipient === undefined || message.content?.recipient === recipient)) yield message;
    }
    if (places.length < pageSize) return;
    after = places.at(-1);
  }
}

function codesOf(message: Message): (string | undefined)[] {
  const { failure, attempts, progress } = message;
  const shown = statusOf(progress) === "failed" ? codeOfFailed(message) : attempts.dead && "dead-lettered";
  return [shown, failure?.code, attempts.dead?.code];
}
