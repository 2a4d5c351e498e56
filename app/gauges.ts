import type { RestoreHold } from "#core/backup/hold.ts";
import { gaugeBounds, gaugeEndpoints } from "#core/chain/metrics.ts";
import type { Observations } from "#core/chain/observations.ts";
import type { Db } from "#core/db/db.ts";
import { gaugeConnections } from "#core/db/metrics.ts";
import { gaugeOutbox } from "#core/events/metrics.ts";
import type { Indexer } from "#core/indexer/createIndexer.ts";
import { gaugeIndexers } from "#core/indexer/metrics.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Live } from "#core/kernel/live.ts";
import type { Roster } from "#core/kernel/roster.ts";
import type { Metrics } from "#core/observe/metrics.ts";
import { gaugeQueue } from "#core/queue/metrics.ts";
import { gaugeSender } from "#core/sender/metrics.ts";
import { gaugeFleet, gaugeLeases } from "./fleet/metrics.ts";
import type { ChainEntry } from "./registry/registry.ts";

type Deps = {
  readonly db: Parameters<typeof gaugeConnections>[1] & Db;
  readonly clock: Clock;
  readonly chains: Live<ChainEntry>;
  readonly observations: Observations;
  readonly indexers: Pick<Roster<Indexer>, "all">;
  readonly sender: Parameters<typeof gaugeSender>[1];
  readonly leases: Parameters<typeof gaugeLeases>[1];
  readonly roll: Parameters<typeof gaugeFleet>[1]["roll"];
  readonly outbox: Pick<Parameters<typeof gaugeOutbox>[1], "name" | "except">;
  readonly hold: Pick<RestoreHold, "isHeld">;
  readonly queue: Parameters<typeof gaugeQueue>[1];
  /** Kinds of jobs that this process works on. */
  readonly jobs: readonly string[];
  readonly contexts: readonly { gauge(metrics: Metrics): void }[];
};

/** Whatever is told by reading it when somebody scrapes. */
export function gaugeService(metrics: Metrics, deps: Deps): void {
  const { db, clock, chains, observations } = deps;
  gaugeEndpoints(metrics, () => chains.entries().map(([, { access }]) => access));
  gaugeBounds(metrics, () =>
    chains.entries().map(([name, { settings }]) => ({ name, configured: settings, observed: observations.of(name) })),
  );
  gaugeIndexers(metrics, deps.indexers.all);
  gaugeSender(metrics, deps.sender);
  gaugeLeases(metrics, deps.leases);
  gaugeFleet(metrics, { db, roll: deps.roll, clock });
  gaugeOutbox(metrics, { ...deps.outbox, db, clock });
  gaugeConnections(metrics, db);
  metrics.gauge("restore_held", "1 while nothing is sent, after a restore", [], async (set) =>
    set({}, (await deps.hold.isHeld()) ? 1 : 0),
  );
  gaugeQueue(metrics, deps.queue, deps.jobs);
  for (const context of deps.contexts) context.gauge(metrics);
}
