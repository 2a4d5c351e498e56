import type { Db } from "../db/db.ts";
import type { Clock } from "../kernel/clock.ts";
import { type Metrics, sharing } from "../observe/metrics.ts";

/** What has left the database, whichever process moved it, and how old the oldest is that has not. */
export function gaugeArchive(metrics: Metrics, { db, clock }: { readonly db: Db; readonly clock: Clock }): void {
  const read = sharing(() =>
    db.query<{ kind: string; items: bigint; bytes: bigint }>(
      "SELECT kind, sum(items) AS items, sum(bytes)::bigint AS bytes FROM archive_files WHERE state = 'stored' GROUP BY kind",
    ),
  );
  metrics.gauge("archive_items", "Things that have left the database for the archive", ["kind"], async (set) => {
    for (const { kind, items } of await read()) set({ kind }, Number(items));
  });
  metrics.gauge("archive_bytes", "Bytes of their files, as they are stored", ["kind"], async (set) => {
    for (const { kind, bytes } of await read()) set({ kind }, Number(bytes));
  });
  metrics.gauge("event_oldest_seconds", "Age of the oldest event of those of which none has left", [], async (set) => {
    const [row] = await db.query<{ at: Date }>(
      "SELECT at FROM events WHERE position > (SELECT after FROM event_kept) ORDER BY position LIMIT 1",
    );
    set({}, row ? Math.max(0, clock.now() - row.at.getTime()) / 1_000 : 0);
  });
}
