import type { Db } from "#core/db/db.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import { type Metrics, sharing } from "#core/observe/metrics.ts";
import { readOpenSwaps } from "./listing.ts";

/** How many swaps are under way and what time they have left, whenever somebody looks; the same in every process. */
export function gaugeSwaps(metrics: Metrics, { db, clock }: { db: Db; clock: Clock }): void {
  const read = sharing(async () => {
    const now = unixSeconds(clock);
    return { now, open: await readOpenSwaps(db, now) };
  });
  metrics.gauge("swaps_open", "Swaps that have not ended", ["status"], async (set) => {
    for (const { status, count } of (await read()).open) set({ status }, count);
  });
  metrics.gauge(
    "swaps_deadline_seconds",
    "Until the next timelock of a lock that a managed account claims; negative since that of one that it refunds",
    ["status"],
    async (set) => {
      const { now, open } = await read();
      for (const { status, deadline } of open) if (deadline !== undefined) set({ status }, Number(deadline - now));
    },
  );
}
