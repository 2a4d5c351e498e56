import type { Tx } from "../db/db.ts";
import { assertIdentifier } from "../db/identifier.ts";
import type { Projection, StoredEvent } from "./store.ts";

const replayBatch = 1_000;

/** Gives every projection the events it handles, in their order. */
export async function applyProjections(
  tx: Tx,
  projections: readonly Projection[],
  events: readonly StoredEvent[],
): Promise<void> {
  for (const projection of projections) {
    const handled = events.filter(({ type }) => projection.handles.includes(type));
    if (handled.length > 0) await projection.apply(tx, handled);
  }
}

/**
 * Empties and refills a projection in one transaction. Readers see the old rows until it commits (rows are deleted,
 * not truncated); writers wait for it, so that no event falls between. Returns how many events were replayed.
 */
export async function rebuildProjection(
  tx: Tx,
  projection: Projection,
  read: (after: bigint, limit: number) => Promise<StoredEvent[]>,
): Promise<number> {
  await tx.query("SELECT position FROM event_counter FOR UPDATE");
  for (const table of projection.tables) await tx.query(`DELETE FROM ${assertIdentifier(table)}`);
  let after = 0n;
  let replayed = 0;
  for (;;) {
    const events = await read(after, replayBatch);
    const last = events.at(-1);
    if (!last) return replayed;
    await projection.apply(tx, events);
    after = last.position;
    replayed += events.length;
  }
}
