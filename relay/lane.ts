import type { Chain, ProveState } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";

/** A chain as messages need it; what deliveries by proof need besides is left out where there is none. */
export type RelayChain = {
  readonly chain: Chain;
  readonly gateway: Hex;
  readonly stateOracle?: Hex | undefined;
  readonly prove?: ProveState;
};

/** What a lane's destination is shown: signatures of validators over its head, or a proof of the origin's state. */
export type WayOfDelivery = "checkpoint" | "proof";

/** The messages from one chain to another, by the configuration's names of the two. */
export type Lane = { readonly origin: string; readonly destination: string };

/** A lane with both ends. */
export type LaneEnds = Lane & {
  readonly from: RelayChain;
  readonly to: RelayChain;
  readonly delivery: WayOfDelivery;
};

const arrow = "→";

/** The one spelling of a lane for people, streams and jobs. Names of chains have no arrow in them. */
export const laneName = ({ origin, destination }: Lane): string => `${origin}${arrow}${destination}`;

/** The lane of a name; undefined when the text is none. */
export function parseLaneName(name: string): Lane | undefined {
  const [origin, destination, ...rest] = name.split(arrow);
  return origin && destination && rest.length === 0 ? { origin, destination } : undefined;
}

type WantedLane = Lane & { readonly delivery?: WayOfDelivery };

/** The lanes that are served, found by name or by their chains' ids. */
export type Lanes = {
  readonly all: readonly LaneEnds[];
  /** Throws `chain-unknown` or `lane-unknown` naming the field of the request. */
  get(lane: Lane): LaneEnds;
  byChainIds(originChainId: number, destinationChainId: number): LaneEnds | undefined;
};

/** Throws `config-invalid` for a lane between chains that are not configured. */
export function createLanes(deps: {
  chains: Readonly<Record<string, RelayChain>>;
  lanes?: readonly WantedLane[] | undefined;
}): Lanes {
  const names = Object.keys(deps.chains);
  const pairs = names.flatMap((origin) => names.map((destination): WantedLane => ({ origin, destination })));
  const wanted: readonly WantedLane[] = deps.lanes ?? pairs.filter(({ origin, destination }) => origin !== destination);
  const all = wanted.map(({ delivery = "checkpoint", ...lane }): LaneEnds => {
    const from = deps.chains[lane.origin];
    const to = deps.chains[lane.destination];
    if (delivery === "proof" && !(from?.prove && to?.stateOracle)) throw noOracle(lane);
    if (from && to && from !== to) return { ...lane, from, to, delivery };
    throw new LockstepError("config-invalid", `relay.lanes: ${laneName(lane)} is not between two configured chains`, {
      details: { field: "relay.lanes" },
    });
  });
  const byName = new Map(all.map((lane) => [laneName(lane), lane]));
  const byIds = new Map(all.map((lane) => [`${lane.from.chain.chainId}-${lane.to.chain.chainId}`, lane]));

  const requireChain = (name: string, field: string) => {
    if (deps.chains[name]) return;
    throw new LockstepError("chain-unknown", `there is no chain "${name}"; configured are ${names.join(", ")}`, {
      details: { field, known: names },
    });
  };
  return {
    all,
    get(lane) {
      requireChain(lane.origin, "origin");
      requireChain(lane.destination, "destination");
      const found = byName.get(laneName(lane));
      if (found) return found;
      throw new LockstepError("lane-unknown", `no messages are carried from ${lane.origin} to ${lane.destination}`, {
        details: { field: "destination", known: [...byName.keys()] },
      });
    },
    byChainIds: (origin, destination) => byIds.get(`${origin}-${destination}`),
  };
}

function noOracle(lane: Lane): LockstepError {
  const message = `relay.lanes: ${laneName(lane)} is delivered by proof, which needs chains.${lane.destination}.stateOracle`;
  return new LockstepError("config-invalid", message, { details: { field: "relay.lanes" } });
}
