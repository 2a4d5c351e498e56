import type { EndpointConfig } from "../config/chains.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Log } from "../observe/log.ts";
import type { EndpointStatus } from "./chain.ts";
import { createEndpoint, type Endpoint, type EndpointEvent } from "./endpoint.ts";
import { type EndpointState, isUsable, markLag, rank, reasonOf, stateOf } from "./health.ts";

/** Milliseconds within which heads of several endpoints count as read at the same time. */
const sameTimeMs = 1_000;

export type EndpointsOptions = {
  readonly chain: string;
  readonly chainId: number;
  readonly endpoints: readonly (string | EndpointConfig)[];
  /** Blocks that an endpoint may be behind the best. */
  readonly maxLag: number;
  /** How many endpoints have to agree. */
  readonly votes: number;
  readonly timeoutMs: number;
  /** Milliseconds between two looks at how every endpoint is. They ride on requests: no request, no look. */
  readonly probeMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly onEvent: (event: EndpointEvent) => void;
};

/** The endpoints of one chain, and how they are. */
export type Endpoints = {
  readonly all: readonly Endpoint[];
  /** Best first. */
  ranked(): readonly Endpoint[];
  stateOf(endpoint: Endpoint): EndpointState;
  /** Remembers that an endpoint contradicted the majority about something that cannot change. */
  contradicted(endpoint: Endpoint, method: string): void;
  status(): EndpointStatus[];
};

export function createEndpoints(options: EndpointsOptions): Endpoints {
  const { chain, clock, log } = options;
  const { chainId, timeoutMs, onEvent } = options;
  const configs = options.endpoints.map((each) => (typeof each === "string" ? { url: each } : each));
  const names = namesOf(configs);
  const all = configs.map((config, index) =>
    createEndpoint({ chain, chainId, name: names[index] ?? "", config, timeoutMs, clock, onEvent }),
  );
  const known = new Map<Endpoint, EndpointState>();
  let current = all[0];
  let probedAt: number | undefined;
  let probing = false;

  async function probeAll(): Promise<void> {
    const started = performance.now();
    const looks = await Promise.all(
      all.map(async (endpoint) => {
        const head = await endpoint.probe();
        const isInTime = performance.now() - started < sameTimeMs;
        return head === undefined || !isInTime ? [] : [{ health: endpoint.health, head }];
      }),
    );
    markLag(looks.flat(), BigInt(options.maxLag), options.votes);
    for (const endpoint of all) note(endpoint);
  }

  /** Says once in the log when the state of an endpoint became another one. */
  function note(endpoint: Endpoint): void {
    const state = stateOf(endpoint.health, clock.now());
    const before = known.get(endpoint) ?? "untried";
    known.set(endpoint, state);
    if (state === before || (before === "untried" && state === "healthy")) return;
    const fields = { chain, endpoint: endpoint.name, state, before, reason: reasonOf(endpoint.health, state) };
    if (state === "healthy") log.info(fields, "endpoint is healthy again");
    else log.warn(fields, "endpoint is not healthy");
  }

  function probeIfDue(): void {
    const now = clock.now();
    if (probing || (probedAt !== undefined && now - probedAt < options.probeMs)) return;
    probing = true;
    probedAt = now;
    void probeAll().finally(() => {
      probing = false;
    });
  }

  return {
    all,
    ranked() {
      probeIfDue();
      const ranked = rank(all, current, clock.now());
      current = ranked[0];
      return ranked;
    },
    stateOf: (endpoint) => stateOf(endpoint.health, clock.now()),
    contradicted(endpoint, method) {
      endpoint.health.disagreedAt = clock.now();
      if (known.get(endpoint) === "disagreeing") return;
      log.error({ chain, endpoint: endpoint.name, method }, "endpoint contradicts the majority");
      note(endpoint);
    },
    status: () =>
      all.map(({ name, health }) => {
        const state = stateOf(health, clock.now());
        const reason = reasonOf(health, state);
        const { latencyMs, lastGoodAt, head } = health;
        return {
          ...{ endpoint: name, state, usable: isUsable(state) },
          ...(reason !== undefined && { reason }),
          ...(latencyMs !== undefined && { latencyMs }),
          ...(lastGoodAt !== undefined && { lastGoodAt }),
          ...(head !== undefined && { head }),
        };
      }),
  };
}

/** Hosts, and which one of it where several endpoints have the same. */
function namesOf(configs: readonly EndpointConfig[]): string[] {
  const hosts = configs.map(({ url }) => new URL(url).host);
  return hosts.map((host, index) => {
    const before = hosts.slice(0, index).filter((each) => each === host).length;
    return before === 0 ? host : `${host}#${before + 1}`;
  });
}
