import type { Chain } from "#core/chain/chain.ts";
import type { ValidatorConfig } from "#core/config/validator.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import { createGatewayReader } from "../gateway.ts";
import { type AgreedChain, createAgreedChain } from "./agreement.ts";
import { createFollower, type Follower } from "./follower.ts";
import type { SignedLane } from "./signer.ts";
import type { SigningStore } from "./signingStore.ts";
import { createLaneTerms, type LaneTerms } from "./terms.ts";

/** A followed chain with the lanes that begin there. */
export type Origin = {
  readonly name: string;
  readonly chain: AgreedChain;
  readonly follower: Follower;
  readonly lanes: readonly OwnLane[];
};

/** A lane that this validator signs for; `oracle` is the state oracle at its destination. */
export type OwnLane = SignedLane & { readonly terms: LaneTerms; readonly oracle: Hex | undefined };

type Deps = {
  readonly config: ValidatorConfig;
  /** Per chain of the configuration one `Chain` for each of its endpoints. */
  readonly chains: Readonly<Record<string, readonly Chain[]>>;
  readonly store: SigningStore;
  readonly clock: Clock;
  readonly log: Log;
};

/** Every chain as the origin of lanes to all others, and the check that they are the chains of before. */
export function createOrigins({ config, chains, store, clock, log }: Deps) {
  const known = Object.entries(config.chains).map(([name, chain]) => {
    const endpoints = chains[name] ?? [];
    const [first] = endpoints;
    if (!first) throw new LockstepError("config-invalid", `chains.${name}: there are no endpoints`);
    return { ...chain, name, endpoints, first, spelled: `${chain.chainId}-${chain.gateway}` };
  });
  const origins = known.map((from): Origin => {
    const lanes = known
      .filter((to) => to !== from)
      .map((to): OwnLane => {
        const reader = createGatewayReader({ chain: to.first, gateway: to.gateway });
        return {
          ...{ origin: from.spelled, destination: to.spelled, destinationChainId: to.chainId },
          route: {
            ...{ originChainId: from.chainId, originGateway: from.gateway },
            ...{ destinationChainId: to.chainId, destinationGateway: to.gateway },
          },
          oracle: to.stateOracle,
          terms: createLaneTerms({ reader, originChainId: from.chainId, clock }),
        };
      });
    const { endpoints, gateway, name, spelled: origin, startBlock, logWindow } = from;
    const destinations = lanes.map(({ destinationChainId }) => destinationChainId);
    const chain = createAgreedChain({ endpoints, gateway, destinations, log: log.child({ chain: name }) });
    const blocks = { startBlock: BigInt(startBlock), logWindow: BigInt(logWindow) };
    return { name, chain, lanes, follower: createFollower({ chain, origin, gateway, lanes, ...blocks, store, log }) };
  });
  const genesis = async () => {
    for (const { spelled, first } of known) store.assertSameChain(spelled, await first.genesis());
  };
  return { origins, genesis };
}
