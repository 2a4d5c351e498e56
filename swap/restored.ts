import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { type SwapEvent, swapStream } from "./events.ts";
import { foldSwap } from "./swap.ts";

/** Swaps that are marked in one transaction. */
const page = 100;

/**
 * Says of every swap that has not ended that its database was restored. To be called before anything is decided about any;
 * what is said is said once.
 */
export function createRestoredMarks({ db, store }: { db: Db; store: EventStore }) {
  return async (restore: string): Promise<number> => {
    let marked = 0;
    for (let after = ""; ; ) {
      const rows = await db.query<{ id: string }>(
        "select id from swaps where due_at is not null and id > $1 order by id limit $2",
        [after, page],
      );
      marked += await markAll(
        rows.map(({ id }) => id),
        restore,
      );
      after = rows.at(-1)?.id ?? after;
      if (rows.length < page) return marked;
    }
  };

  async function markAll(ids: readonly string[], restore: string): Promise<number> {
    const streams = await store.loadMany<SwapEvent>(db, ids.map(swapStream));
    const marks = [...streams].flatMap(([stream, events]) => {
      const swap = foldSwap(events);
      if (!swap || events.some(({ type, data }) => type === "SwapRestored" && data.restore === restore)) return [];
      return [{ stream, expected: swap.version, events: [{ type: "SwapRestored", data: { restore } }] }];
    });
    if (marks.length > 0) await db.tx((tx) => store.append(tx, marks));
    return marks.length;
  }
}
