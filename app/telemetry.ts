import { hostname } from "node:os";
import type { Env } from "#core/config/env.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import { readHeaders, tracesConfig } from "#core/config/telemetry.ts";
import type { Db } from "#core/db/db.ts";
import { createJourneys, type JourneySource } from "#core/events/journeys.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Leases } from "#core/lease/lease.ts";
import type { Log } from "#core/observe/log.ts";
import type { Metrics } from "#core/observe/metrics.ts";
import type { Tracing } from "#core/observe/tracing.ts";
import type { TrackingId } from "#core/observe/tracking.ts";
import { createRelayJourneys, isMessageStream } from "#relay";
import { createSwapJourneys, swapStreams } from "#swap";
import type { Part } from "./lifecycle.ts";
import { version } from "./version.ts";

/** Milliseconds that the collector of traces has for what is left when a process ends. */
const farewellMs = 2_000;

/** Undefined where nothing is traced; then nothing of it is loaded either. */
export async function openTracing(
  config: Pick<ServiceConfig, "telemetry" | "fleet">,
  env: Env,
  deps: { log: Log; clock: Clock; metrics: Metrics },
): Promise<Tracing | undefined> {
  const traces = tracesConfig(config.telemetry, env);
  if (!traces) return undefined;
  const { createOtlpTracing } = await import("#core/observe/otlp.ts");
  const log = deps.log.child({ module: "traces" });
  const service = { version: version(), instance: config.fleet.instance ?? hostname() };
  const tracing = createOtlpTracing({ ...deps, ...traces, headers: readHeaders(traces).reveal(), service, log });
  log.info({ endpoint: new URL(traces.url).host, sample: traces.sample }, "messages and swaps are traced");
  return tracing;
}

/** What a transaction is traced with: the one message or swap that it is for, or itself where it is for several. */
export const trackingOf = ({ id, subject }: { readonly id: string; readonly subject: string }): TrackingId =>
  isMessageStream(subject) || subject.startsWith(swapStreams) ? subject : id;

/** Who tells of the ways of messages and swaps. */
export const journeySources = (deps: { db: Db; store: EventStore }): readonly JourneySource[] => [
  createRelayJourneys(deps),
  createSwapJourneys(deps),
];

/** What tells stored events to the collector, one process at a time, and ends with the rest of the work. */
export function traceParts(
  tracing: Tracing | undefined,
  deps: { db: Db; store: EventStore; leases: Leases; clock: Clock; log: Log },
): { readonly work: readonly Part[]; readonly ground: readonly Part[] } {
  if (!tracing) return { work: [], ground: [] };
  const sources = journeySources(deps);
  const { keeps, deliver } = tracing;
  const journeys = createJourneys({ ...deps, sources, keeps, deliver, log: deps.log.child({ module: "traces" }) });
  const lease = deps.leases.of("traces");
  return {
    work: [{ start: () => lease.contend(journeys), stop: lease.leave }],
    ground: [{ start: () => undefined, stop: () => tracing.stop(farewellMs) }],
  };
}
