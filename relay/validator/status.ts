import type { Origin } from "./origins.ts";
import type { EndpointStatus } from "./rollCall.ts";
import type { SigningStore } from "./signingStore.ts";

/** How a validator does, for operators, the relayer and meters. */
export type ValidatorStatus = {
  readonly name: string;
  /** `stalled`: a chain has no final block that enough endpoints agree on, or its lanes' logs cannot be had. */
  readonly status: "starting" | "following" | "stalled" | "halted";
  readonly reason?: string;
  readonly chains: readonly ChainStatus[];
  readonly lanes: readonly LaneStatus[];
};

type ChainStatus = {
  readonly chain: string;
  /** The last final block that was agreed on and whose lanes are known. */
  readonly height?: bigint;
  readonly following: boolean;
  readonly endpoints: readonly EndpointStatus[];
};

type LaneStatus = {
  readonly origin: string;
  readonly destination: string;
  /** The newest final message, and the newest that was signed in the lane's newest generation. */
  readonly head: bigint;
  readonly signed: bigint;
  readonly generation: number;
};

/** Milliseconds without a successful look after which a chain counts as stalled. */
const patienceMs = 15_000;

/** Chains and lanes as they are; `followedAt` says when a chain was last looked at with success. */
export function describeOrigins(
  origins: readonly Origin[],
  store: SigningStore,
  now: number,
  followedAt: (origin: Origin) => number,
): Pick<ValidatorStatus, "chains" | "lanes"> {
  const chains = origins.map((origin): ChainStatus => {
    const height = store.reached(origin.spelled);
    const following = now < followedAt(origin) + patienceMs;
    const endpoints = origin.chain.status();
    return { chain: origin.name, ...(height !== undefined && { height }), following, endpoints };
  });
  const nameOf = new Map(origins.map(({ spelled, name }) => [spelled, name]));
  const lanes = origins.flatMap((origin) =>
    origin.lanes.map((lane): LaneStatus => {
      const generation = store.newestGeneration(lane) ?? 0;
      return {
        ...{ origin: origin.name, destination: nameOf.get(lane.destination) ?? lane.destination },
        head: store.head(lane)?.nonce ?? 0n,
        ...{ signed: store.newestSigned(lane, generation)?.nonce ?? 0n, generation },
      };
    }),
  );
  return { chains, lanes };
}
