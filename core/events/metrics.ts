import type { Db } from "../db/db.ts";
import type { Clock } from "../kernel/clock.ts";
import { type Metrics, sharing } from "../observe/metrics.ts";

/** Beyond it the number says no more than that the outbox is far behind. */
const countedMost = 10_000;

/** How far the reader of all events with this checkpoint is behind; `except` are types that it passes over unread. */
export function gaugeOutbox(
  metrics: Metrics,
  deps: { readonly db: Db; readonly name: string; readonly except: readonly string[]; readonly clock: Clock },
): void {
  const { db, name, except, clock } = deps;
  const read = sharing(() => readLag(db, name, except));
  metrics.gauge(
    "event_position",
    "Position of the newest event, and of the last that the outbox has read",
    ["which"],
    async (set) => {
      const { newest, outbox } = await read();
      set({ which: "newest" }, Number(newest));
      set({ which: "outbox" }, Number(outbox));
    },
  );
  metrics.gauge("outbox_waiting", "Events that are not turned into jobs yet, counted up to 10000", [], async (set) => {
    set({}, (await read()).waiting);
  });
  metrics.gauge("outbox_oldest_seconds", "How old the oldest of them is; 0 where there is none", [], async (set) => {
    const { oldest } = await read();
    set({}, oldest === null ? 0 : Math.max(0, clock.now() - oldest.getTime()) / 1_000);
  });
}

type Lag = { newest: bigint; outbox: bigint; waiting: number; oldest: Date | null };

async function readLag(db: Db, name: string, except: readonly string[]): Promise<Lag> {
  const [row] = await db.query<Lag>(
    `WITH own AS (SELECT coalesce((SELECT position FROM event_subscriptions WHERE name = $1), 0) AS position),
     waiting AS (
       SELECT at FROM events WHERE position > (SELECT position FROM own) AND NOT type = ANY($2)
        ORDER BY position LIMIT $3)
     SELECT (SELECT position FROM event_counter) AS newest, (SELECT position FROM own) AS outbox,
            count(*)::integer AS waiting, min(at) AS oldest FROM waiting`,
    [name, except, countedMost],
  );
  return row ?? { newest: 0n, outbox: 0n, waiting: 0, oldest: null };
}
