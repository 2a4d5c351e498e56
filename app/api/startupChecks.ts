import type { HealthCheck } from "#core/http/health.ts";
import type { Indexer } from "#core/indexer/createIndexer.ts";
import type { Roster } from "#core/kernel/roster.ts";
import type { LeaseKeeper } from "#core/lease/keeper.ts";

type Deps = {
  /** Whether every part of the process was started. */
  isStarted(): boolean;
  leases: Pick<LeaseKeeper, "hasAsked" | "held">;
  /** Those of this process. */
  indexers: Pick<Roster<Indexer>, "all">;
};

/**
 * What has to be done once before the process has started. A chain that does not answer was looked at too: whether all is
 * well is another question, and to start the process anew would mend nothing.
 */
export function startupChecks({ isStarted, leases, indexers }: Deps): HealthCheck[] {
  const held = () => new Set(leases.held().map(({ name }) => name));
  return [
    { name: "parts", check: async () => (isStarted() ? undefined : "not every part was started yet") },
    { name: "leases", check: async () => (leases.hasAsked() ? undefined : "no leases were asked for yet") },
    {
      name: "first looks",
      async check() {
        const mine = held();
        const unseen = indexers
          .all()
          .map((indexer) => indexer.status())
          .filter(({ chain, state, healthyAt, error }) => {
            const isWaiting = state === "running" || (state === "stopped" && mine.has(`indexer/${chain}`));
            return isWaiting && healthyAt === undefined && error === undefined;
          });
        const names = unseen.map(({ chain }) => chain).join(", ");
        return unseen.length === 0 ? undefined : `not looked at yet: ${names}`;
      },
    },
  ];
}
