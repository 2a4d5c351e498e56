import type { Queryable } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { BatchEvent, StepName } from "./events.ts";
import { legOf } from "./parties.ts";

/** What one transaction does the same step of. */
type Members = { readonly step: StepName; readonly swaps: readonly string[] };

/**
 * Lets members be looked at soon whose claim or refund has not shown by now. It shows by itself unless it was left out, so
 * nothing is loaded for those that were not.
 */
export async function checkMembers(db: Queryable, { step, swaps }: Members, at: Date): Promise<void> {
  await db.query(
    `update swaps set due_at = $2
      where id = any($1) and due_at > $2
        and exists (select 1 from swap_legs where swap_id = swaps.id and leg = $3 and end_block is null)`,
    [swaps, at, legOf(step)],
  );
}

/** What one transaction does, and of which swaps. Throws `not-found` for a stream that is no batch's. */
export async function membersOf({ db, store }: { db: Queryable; store: EventStore }, stream: string): Promise<Members> {
  const [started] = await store.load<BatchEvent>(db, stream);
  if (started) return started.data;
  throw new LockstepError("not-found", "there is no batch of swaps with this id", { details: { id: stream } });
}
