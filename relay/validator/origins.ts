import type { Chain } from "#core/chain/chain.ts";
import type { ValidatorConfig } from "#core/config/validator.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";
import type { Log } from "#core/observe/log.ts";
import { type AgreedChain, createAgreedChain } from "./agreement.ts";
import { createFollower, type Follower } from "./follower.ts";
import type { SignedLane } from "./signer.ts";
import type { SigningLane, SigningStore } from "./signingStore.ts";
import { createLaneTerms, type LaneTerms } from "./terms.ts";

/** A followed chain with the lanes that begin there. */
export type Origin = {
  readonly name: string;
  /** As it is called in the store. */
  readonly spelled: string;
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
  readonly mark?: Mark | undefined;
};

/** Every chain as the origin of lanes to all others, and the check that they are the chains of before. */
export function createOrigins({ config, chains, store, clock, log, mark = noMark }: Deps) {
  const known = Object.entries(config.chains).map(([name, chain]) => {
    const endpoints = chains[name] ?? [];
    if (endpoints.length === 0) throw new LockstepError("config-invalid", `chains.${name}: there are no endpoints`);
    const peers = Object.values(config.chains).filter((peer) => peer !== chain);
    const agreed = createAgreedChain({
      ...{
        endpoints,
        names: chain.endpoints.map((each) => new URL(typeof each === "string" ? each : each.url).host),
        gateway: chain.gateway,
      },
      ...{ destinations: peers.map(({ chainId }) => chainId), log: log.child({ chain: name }) },
      clock,
    });
    return { ...chain, name, agreed, spelled: `${chain.chainId}-${chain.gateway}` };
  });
  const origins = known.map((from): Origin => {
    const lanes = known
      .filter((to) => to !== from)
      .map((to): OwnLane => {
        return {
          ...{ origin: from.spelled, destination: to.spelled, destinationChainId: to.chainId },
          route: {
            ...{ originChainId: from.chainId, originGateway: from.gateway },
            ...{ destinationChainId: to.chainId, destinationGateway: to.gateway },
          },
          oracle: to.stateOracle,
          terms: createLaneTerms({ destination: to.agreed, gateway: to.gateway, originChainId: from.chainId, clock }),
        };
      });
    const { agreed: chain, gateway, name, spelled: origin, startBlock, logWindow } = from;
    const blocks = { startBlock: BigInt(startBlock), logWindow: BigInt(logWindow) };
    const terms = new Map<SigningLane, LaneTerms>(lanes.map((lane) => [lane, lane.terms]));
    const generationOf = async (lane: SigningLane) => (await terms.get(lane)?.generation()) ?? 0;
    const follower = createFollower({
      ...{ chain, origin, gateway, lanes, ...blocks, store, generationOf, clock, log },
      mark: (point) => mark(`${point}/${name}`),
    });
    return { name, spelled: origin, chain, lanes, follower };
  });
  const genesis = async () => {
    for (const { spelled, agreed } of known) {
      const hash = await agreed.agree(
        (endpoint) => endpoint.genesis(),
        (first) => first,
      );
      store.assertSameChain(spelled, hash);
    }
  };
  return { origins, genesis };
}
