import type { HealthCheck } from "#core/http/health.ts";
import type { IndexerStatus } from "#core/indexer/createIndexer.ts";

/** Most milliseconds since an indexer's last good look before the process counts as unready. */
const staleMs = 30_000;
/** Where looks are seldom, so many may be missed instead: a quiet chain wakes nobody in between. */
const missedLooks = 3;

/** The chain is followed, and something of it is missing. */
const incomplete = new Set<string>(["logs-missing", "lane-broken", "start-block-too-high"]);

/** Whether a chain is followed, and nothing of it is missing. */
export function indexerCheck(
  { chain, state, error, healthyAt }: IndexerStatus,
  pollMs: number,
  now: () => number = Date.now,
): HealthCheck {
  const patienceMs = Math.max(staleMs, missedLooks * pollMs);
  return {
    name: `indexer ${chain}`,
    async check() {
      if (state === "halted") return `${error?.code ?? "halted"}: ${error?.message ?? ""}`;
      if (healthyAt === undefined) return "the chain has not been read yet";
      if (error && incomplete.has(error.code)) return `${error.code}: ${error.message}`;
      return now() - healthyAt > patienceMs ? `no good answer from the chain for ${patienceMs / 1000} s` : undefined;
    },
  };
}
