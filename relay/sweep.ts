import type { Db } from "#core/db/db.ts";
import { pendingMessages } from "./failures.ts";
import { sendIntentId } from "./identity.ts";
import { retryIntentId } from "./intents.ts";
import type { MessageActions } from "./retry.ts";

/** Messages looked at in one go. */
const most = 100;

/**
 * Looks after messages that wait for a transaction of their own, some at a time: whatever a lost job should have noted
 * about it is noted here.
 */
export function createSettleSweep({ db, actions }: { db: Db; actions: Pick<MessageActions, "settle"> }) {
  let after = "";
  return async (): Promise<void> => {
    const rows = await pendingMessages(db, after, most);
    after = rows.length === most ? (rows.at(-1)?.id ?? "") : "";
    for (const { id, retry } of rows) {
      await actions.settle(id, retry === undefined ? sendIntentId(id) : retryIntentId(id, retry));
    }
  };
}
