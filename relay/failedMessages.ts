import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { type FailureFilter, type FailurePlace, failedPlaces } from "./failures.ts";
import { historiesOf } from "./history.ts";
import { foldMessage, type Message } from "./message.ts";

/** Which messages to retry: those that failed or were given up, and fit everything that is named. */
export type RetryFilter = FailureFilter & { readonly recipient?: string | undefined };

/** Failures read at a time. */
const pageSize = 200;

/** The messages that fit, those that failed first before others; read as far as the caller goes on. */
export async function* failedMessages(
  { db, store }: { db: Db; store: EventStore },
  { recipient, ...filter }: RetryFilter,
): AsyncGenerator<Message> {
  for (let after: FailurePlace | undefined; ; ) {
    const places = await failedPlaces(db, filter, after, pageSize);
    const ids = places.map(({ id }) => id);
    const histories = await historiesOf(store, db, ids);
    for (const id of ids) {
      const message = foldMessage(histories.get(id) ?? []);
      if (message && (recipient === undefined || message.content?.recipient === recipient)) yield message;
    }
    if (places.length < pageSize) return;
    after = places.at(-1);
  }
}
