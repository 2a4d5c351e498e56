/** What is known of an endpoint, kept by whoever talks to it. */
export type EndpointHealth = {
  /** It has named the chain's id since it was last away. */
  verified: boolean;
  /** It named another chain's id. */
  foreign: boolean;
  /** It failed so often that it is left alone for a while. */
  open: boolean;
  /** Failures since the last good answer. */
  strikes: number;
  lagging: boolean;
  /** What the last failure was. */
  reason?: string;
  /** Milliseconds of an HTTP request, on average, the newest weighing most. */
  latencyMs?: number;
  /** Milliseconds since 1970. */
  lastGoodAt?: number;
  head?: bigint;
  /** When it last contradicted the majority, in milliseconds since 1970. */
  disagreedAt?: number;
};

/**
 * How an endpoint is: `untried` until it has answered once, `failing` after failures that are too few to leave it alone
 * (`open`), `disagreeing` after it contradicted the majority, `excluded` while it serves another chain.
 */
export type EndpointState = "healthy" | "untried" | "failing" | "lagging" | "disagreeing" | "open" | "excluded";

/** Milliseconds for which an endpoint that contradicted the majority is only asked when others are, too. */
export const quarantineMs = 60_000;

export function stateOf(health: EndpointHealth, now: number): EndpointState {
  if (health.foreign) return "excluded";
  if (health.open) return "open";
  if (health.disagreedAt !== undefined && now - health.disagreedAt < quarantineMs) return "disagreeing";
  if (health.lagging) return "lagging";
  if (health.strikes > 0) return "failing";
  return health.lastGoodAt === undefined ? "untried" : "healthy";
}

/** Why it is not healthy, in a stable code. */
export function reasonOf(health: EndpointHealth, state: EndpointState): string | undefined {
  switch (state) {
    case "healthy":
    case "untried":
      return undefined;
    case "excluded":
      return "wrong-chain";
    case "disagreeing":
      return "contradicts-majority";
    case "lagging":
      return "head-behind";
    case "failing":
    case "open":
      return health.reason;
  }
}

const tiers: Readonly<Record<EndpointState, number>> = {
  ...{ healthy: 0, untried: 0, failing: 1, lagging: 2, disagreeing: 3, open: 4, excluded: 5 },
};

/** True when others of the same chain can be trusted with as much. */
export const isUsable = (state: EndpointState): boolean => tiers[state] < 3;

type Ranked = { readonly health: EndpointHealth };

/**
 * Best first: by state, then by latency, then as configured. The `current` best stays ahead until another one is faster
 * by half: two endpoints are rarely at the same block, and who changes between them sees the chain go back and forth.
 */
export function rank<E extends Ranked>(endpoints: readonly E[], current: E | undefined, now: number): E[] {
  const cost = (endpoint: E) => {
    const latency = endpoint.health.latencyMs ?? 0;
    return endpoint === current ? latency / 1.5 - 5 : latency;
  };
  const keys = new Map(endpoints.map((each) => [each, { tier: tiers[stateOf(each.health, now)], cost: cost(each) }]));
  const keyOf = (endpoint: E) => keys.get(endpoint) ?? { tier: 9, cost: 0 };
  return endpoints.toSorted((a, b) => keyOf(a).tier - keyOf(b).tier || keyOf(a).cost - keyOf(b).cost);
}

/**
 * Marks who is more than `maxLag` blocks behind the `votes`-th highest of heads that were read at the same time. With one
 * vote that is the highest: who believes any single endpoint believes that one. With more, an invented height of one
 * endpoint makes nobody lag.
 */
export function markLag(
  seen: readonly { readonly health: EndpointHealth; readonly head: bigint }[],
  maxLag: bigint,
  votes: number,
): void {
  const heads = seen.map(({ head }) => head).toSorted((a, b) => (a > b ? -1 : 1));
  const best = heads[Math.min(votes, heads.length) - 1];
  if (best === undefined) return;
  for (const { health, head } of seen) health.lagging = best - head > maxLag;
}
