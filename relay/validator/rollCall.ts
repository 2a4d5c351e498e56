import type { Chain } from "#core/chain/chain.ts";
import type { Log } from "#core/observe/log.ts";

/** How an endpoint stands to the others. Where no majority is found, all that differ disagree. */
export type EndpointStatus = {
  readonly endpoint: string;
  readonly state: "agrees" | "disagrees" | "behind" | "silent";
  /** The height it was last compared at, or has reached. */
  readonly height?: bigint;
};

/** `hash` stands for whatever was voted about. */
type Vote = { readonly endpoint: Chain; readonly height: bigint; readonly hash: string };

/** Keeps how a chain's endpoints voted, for health and for whom to ask first. */
export type RollCall = {
  /** Votes at one height, and those of them that won. */
  note(votes: readonly Vote[], winners: readonly Vote[] | undefined): void;
  behind(endpoint: Chain, height: bigint): void;
  silent(endpoint: Chain): void;
  /** The winners of the last vote first. */
  bestFirst(): readonly Chain[];
  status(): EndpointStatus[];
};

/** `names` are what to call the endpoints, in their order. */
export function createRollCall(deps: { endpoints: readonly Chain[]; names: readonly string[]; log: Log }): RollCall {
  const { endpoints, names, log } = deps;
  const states = new Map<Chain, Omit<EndpointStatus, "endpoint">>(endpoints.map((each) => [each, { state: "silent" }]));
  let order: readonly Chain[] = endpoints;
  const nameOf = (endpoint: Chain) => names[endpoints.indexOf(endpoint)] ?? "";

  return {
    note(votes, winners) {
      const isUnanimous = votes.every(({ hash }) => hash === votes[0]?.hash);
      for (const { endpoint, height, hash } of votes) {
        const agrees = winners ? hash === winners[0]?.hash : isUnanimous;
        if (!agrees && states.get(endpoint)?.state !== "disagrees") {
          log.warn({ endpoint: nameOf(endpoint), height, hash }, "endpoint disagrees about a final block");
        }
        states.set(endpoint, { state: agrees ? "agrees" : "disagrees", height });
      }
      if (!winners) return;
      const first = winners.map(({ endpoint }) => endpoint);
      order = [...first, ...endpoints.filter((endpoint) => !first.includes(endpoint))];
    },
    behind: (endpoint, height) => void states.set(endpoint, { state: "behind", height }),
    silent(endpoint) {
      states.set(endpoint, { ...states.get(endpoint), state: "silent" });
    },
    bestFirst: () => order,
    status: () =>
      endpoints.map((endpoint) => ({ endpoint: nameOf(endpoint), ...(states.get(endpoint) ?? { state: "silent" }) })),
  };
}
