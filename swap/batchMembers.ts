import type { Queryable } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { BatchEvent } from "./events.ts";

/** The swaps whose step one transaction does. Throws `not-found` for a stream that is no batch's. */
export async function membersOf(
  { db, store }: { db: Queryable; store: EventStore },
  stream: string,
): Promise<readonly string[]> {
  const [started] = await store.load<BatchEvent>(db, stream);
  if (started) return started.data.swaps;
  throw new LockstepError("not-found", "there is no batch of swaps with this id", { details: { id: stream } });
}
