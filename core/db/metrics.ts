import type { Metrics } from "../observe/metrics.ts";
import type { PostgresDb } from "./postgres.ts";

/** How busy the connections to the database are: where some wait for one, more processes or a quicker database help. */
export function gaugeConnections(metrics: Metrics, { pool }: Pick<PostgresDb, "pool">): void {
  metrics.gauge(
    "database_connections",
    "Connections of this process, and work that waits for one",
    ["state"],
    (set) => {
      set({ state: "busy" }, pool.totalCount - pool.idleCount);
      set({ state: "idle" }, pool.idleCount);
      set({ state: "waiting" }, pool.waitingCount);
    },
  );
}
