import type { Metrics } from "../observe/metrics.ts";
import type { ChainAccess, EndpointStatus } from "./chain.ts";
import type { EndpointEvent } from "./endpoint.ts";
import { type ConfiguredBounds, type Observed, presentBounds } from "./observations.ts";

const buckets = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5];

/** Counts what happens at endpoints; the answer is for `createChain`. */
export function countEndpointEvents(metrics: Metrics): (event: EndpointEvent) => void {
  const requests = metrics.counter("endpoint_requests_total", "JSON-RPC requests by what became of them");
  const seconds = metrics.histogram("endpoint_exchange_seconds", "HTTP requests that were answered", buckets);
  return (event) => {
    const { chain, endpoint } = event;
    if (event.kind === "exchange") seconds({ chain, endpoint }, event.ms / 1_000);
    else requests({ chain, endpoint, method: event.method, outcome: event.outcome });
  };
}

type Watched = Pick<ChainAccess, "name" | "endpoints">;

/** How the endpoints of chains are whenever somebody looks. A chain may have several views of its endpoints. */
export function gaugeEndpoints(metrics: Metrics, chains: () => Iterable<Watched>): void {
  const each = function* () {
    for (const chain of chains()) for (const status of chain.endpoints()) yield { chain: chain.name, ...status };
  };
  metrics.gauge("endpoint_state", "1 for the state that an endpoint is in", ["chain", "endpoint", "state"], (set) => {
    for (const { chain, endpoint, state } of each()) set({ chain, endpoint, state }, 1);
  });
  metrics.gauge("chain_endpoints_usable", "Endpoints that a chain can be read through", ["chain"], (set) => {
    const usable = new Map<string, number>();
    for (const { chain, usable: counts } of each()) usable.set(chain, (usable.get(chain) ?? 0) + (counts ? 1 : 0));
    for (const [chain, count] of usable) set({ chain }, count);
  });
  metrics.gauge("endpoint_head", "Newest block that an endpoint has named", ["chain", "endpoint"], (set) => {
    for (const { chain, endpoint, head } of each()) if (head !== undefined) set({ chain, endpoint }, Number(head));
  });
  metrics.gauge("endpoint_socket_live", "1 while an endpoint tells about heads", ["chain", "endpoint"], (set) => {
    for (const { chain, endpoint, socket } of each()) {
      if (socket !== undefined) set({ chain, endpoint }, socket === "live" ? 1 : 0);
    }
  });
  metrics.gauge(
    "endpoint_lag_blocks",
    "How far an endpoint is behind the chain's head",
    ["chain", "endpoint"],
    (set) => {
      for (const { name: chain, endpoints } of chains()) {
        for (const [{ endpoint }, lag] of endpointLags(endpoints())) set({ chain, endpoint }, Number(lag));
      }
    },
  );
  metrics.gauge("chain_head", "Newest block that a usable endpoint has named", ["chain"], (set) => {
    for (const { name, endpoints } of chains()) {
      const head = newestHead(endpoints());
      if (head !== undefined) set({ chain: name }, Number(head));
    }
  });
}

type Bounded = {
  readonly name: string;
  readonly configured: ConfiguredBounds;
  readonly observed: Observed;
};

/** What chains show of themselves beside the bounds that are configured for them, in seconds. */
export function gaugeBounds(metrics: Metrics, chains: () => Iterable<Bounded>): void {
  const labels = ["chain", "figure"];
  for (const key of ["inclusionSeconds", "skewSeconds"] as const) {
    const [name, what] =
      key === "inclusionSeconds"
        ? ["chain_inclusion_seconds", "From a well-paid transaction's first byte to its block"]
        : ["chain_skew_seconds", "Between new blocks' timestamps and the clock"];
    metrics.gauge(name, `${what}: as configured, and as observed of late`, labels, (set) => {
      for (const { name: chain, configured, observed } of chains()) {
        set({ chain, figure: "configured" }, configured[key]);
        const seen = observed[key];
        if (seen !== undefined) set({ chain, figure: "observed" }, seen);
      }
    });
  }
  metrics.gauge(
    "chain_time_off",
    "1 where blocks are off the clock by more than their bound may widen",
    ["chain"],
    (set) => {
      for (const { name: chain, configured, observed } of chains()) {
        set({ chain }, presentBounds(configured, observed).isOff ? 1 : 0);
      }
    },
  );
}

/** Blocks that each endpoint which has named a head is behind the newest that a usable one has named. */
export function endpointLags(all: readonly EndpointStatus[]): Map<EndpointStatus, bigint> {
  const newest = newestHead(all);
  return new Map(
    all.flatMap((each) => {
      if (each.head === undefined || newest === undefined) return [];
      return [[each, newest > each.head ? newest - each.head : 0n]];
    }),
  );
}

const newestHead = (all: readonly EndpointStatus[]): bigint | undefined =>
  all
    .flatMap(({ usable, head }) => (usable && head !== undefined ? [head] : []))
    .reduce<bigint | undefined>((best, head) => (best === undefined || head > best ? head : best), undefined);
