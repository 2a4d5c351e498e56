import type { Chain, ChainAccess, ProveState } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { fixed, type Live } from "#core/kernel/live.ts";

/** A chain as messages need it; what deliveries by proof need besides is left out where there is none. */
export type RelayChain = {
  readonly chain: Chain & Pick<ChainAccess, "storage">;
  readonly gateway: Hex;
  readonly stateOracle?: Hex | undefined;
  readonly prove?: ProveState;
  /** Takes nothing new. */
  readonly paused?: boolean;
};

/** What a lane's destination is shown: signatures of validators over its head, or a proof of the origin's state. */
export type WayOfDelivery = "checkpoint" | "proof";

/** The messages from one chain to another, by the configuration's names of the two. */
export type Lane = { readonly origin: string; readonly destination: string };

/** A lane that is served, where that was said, and by which word of the API (0 for none). */
export type LaneSetting = Lane & {
  readonly delivery: WayOfDelivery;
  readonly source: "file" | "api";
  readonly state: "active" | "paused" | "removed";
  readonly revision: bigint;
};

/** Why nothing is delivered over a lane for now. */
export type LaneHold = { readonly code: "lane-paused" | "chain-paused"; readonly detail: string };

/** A lane with both ends. */
export type LaneEnds = LaneSetting & { readonly from: RelayChain; readonly to: RelayChain; readonly hold?: LaneHold };

const arrow = "→";

/** The one spelling of a lane for people, streams and jobs. Names of chains have no arrow in them. */
export const laneName = ({ origin, destination }: Lane): string => `${origin}${arrow}${destination}`;

/** The lane of a name; undefined when the text is none. */
export function parseLaneName(name: string): Lane | undefined {
  const [origin, destination, ...rest] = name.split(arrow);
  return origin && destination && rest.length === 0 ? { origin, destination } : undefined;
}

/** The lanes that are served now, found by name or by their chains' ids. What they answer holds until they change. */
export type Lanes = {
  readonly all: readonly LaneEnds[];
  find(lane: Lane): LaneEnds | undefined;
  /** Throws `chain-unknown` or `lane-unknown` naming the field of the request. */
  get(lane: Lane): LaneEnds;
  /** Throws `chain-unknown` naming the field of the request. */
  requireChain(name: string, field: string): void;
  byChainIds(originChainId: number, destinationChainId: number): LaneEnds | undefined;
  /** Called after lanes came, went, were paused or resumed; returns the way to stop. */
  onChange(tell: () => void): () => void;
};

type Served = {
  readonly all: readonly LaneEnds[];
  readonly byName: ReadonlyMap<string, LaneEnds>;
  readonly byIds: ReadonlyMap<string, LaneEnds>;
};

/** The lanes of a configuration, as they are without a word of the API; undefined when it names none. */
export const configuredLanes = (
  lanes: readonly (Lane & { readonly delivery?: WayOfDelivery })[] | undefined,
): Live<LaneSetting> | undefined =>
  lanes && fixed(Object.fromEntries(lanes.map((lane) => [laneName(lane), fromFile(lane)])));

const fromFile = ({
  origin,
  destination,
  delivery = "checkpoint",
}: Lane & { delivery?: WayOfDelivery }): LaneSetting => ({
  ...{ origin, destination, delivery, source: "file", state: "active", revision: 0n },
});

/** Every ordered pair of chains when `lanes` is left out. */
export function createLanes(deps: { chains: Live<RelayChain>; lanes?: Live<LaneSetting> | undefined }): Lanes {
  const { chains, lanes } = deps;
  const listeners = new Set<() => void>();
  let served = serve(chains, lanes);
  const refresh = () => {
    served = serve(chains, lanes);
    for (const tell of listeners) tell();
  };
  chains.onChange(refresh);
  lanes?.onChange(refresh);

  const requireChain: Lanes["requireChain"] = (name, field) => {
    if (chains.get(name)) return;
    const names = chains.entries().map(([each]) => each);
    throw new LockstepError("chain-unknown", `there is no chain "${name}"; configured are ${names.join(", ")}`, {
      details: { field, known: names },
    });
  };
  return {
    get all() {
      return served.all;
    },
    find: (lane) => served.byName.get(laneName(lane)),
    get(lane) {
      requireChain(lane.origin, "origin");
      requireChain(lane.destination, "destination");
      const found = served.byName.get(laneName(lane));
      if (found) return found;
      throw new LockstepError("lane-unknown", `no messages are carried from ${lane.origin} to ${lane.destination}`, {
        details: { field: "destination", known: [...served.byName.keys()] },
      });
    },
    requireChain,
    byChainIds: (origin, destination) => served.byIds.get(`${origin}-${destination}`),
    onChange(tell) {
      listeners.add(tell);
      return () => void listeners.delete(tell);
    },
  };
}

function serve(chains: Live<RelayChain>, lanes: Live<LaneSetting> | undefined): Served {
  const wanted = lanes ? lanes.entries().map(([, lane]) => lane) : everyPair(chains);
  const all = wanted.flatMap((lane): LaneEnds[] => {
    const from = chains.get(lane.origin);
    const to = chains.get(lane.destination);
    if (!from || !to) return [];
    const hold = holdOf(lane, to);
    return [{ ...lane, from, to, ...(hold && { hold }) }];
  });
  return {
    all,
    byName: new Map(all.map((lane) => [laneName(lane), lane])),
    byIds: new Map(all.map((lane) => [`${lane.from.chain.chainId}-${lane.to.chain.chainId}`, lane])),
  };
}

function everyPair(chains: Live<RelayChain>): LaneSetting[] {
  const names = chains.entries().map(([name]) => name);
  return names.flatMap((origin) =>
    names.filter((destination) => destination !== origin).map((destination) => fromFile({ origin, destination })),
  );
}

function holdOf(lane: LaneSetting, to: RelayChain): LaneHold | undefined {
  if (lane.state === "paused") return { code: "lane-paused", detail: `the lane ${laneName(lane)} is paused` };
  return to.paused ? { code: "chain-paused", detail: `the chain ${lane.destination} is paused` } : undefined;
}

/** Throws `chain-paused` naming the field while an end of the lane takes nothing new. */
export function requireOpenEnds(lane: LaneEnds): void {
  const field = lane.from.paused ? "origin" : lane.to.paused ? "destination" : undefined;
  if (field === undefined) return;
  throw new LockstepError("chain-paused", `${field}: the chain ${lane[field]} is paused`, { details: { field } });
}
