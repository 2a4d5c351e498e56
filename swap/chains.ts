import type { Chain } from "#core/chain/chain.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { ChainTiming, SwapTiming } from "./deadlines.ts";
import type { Swap } from "./swap.ts";

/** A chain as swaps need it. */
export type SwapChain = { readonly chain: Chain; readonly timelockContract: Hex; readonly timing: ChainTiming };

export type SwapChains = {
  /** Throws `chain-unknown` naming the field of the request. */
  get(name: string, field?: string): SwapChain;
  timing(source: string, target: string): SwapTiming;
  /** Time on the later of two chains: true time, or a latest block that is ahead of it. Unix seconds. */
  now(source: string, target: string): Promise<bigint>;
  ofSwap(swap: Swap): { source: SwapChain; target: SwapChain };
};

export function createSwapChains(deps: {
  chains: Readonly<Record<string, SwapChain>>;
  reactionSeconds: bigint;
  clock: Clock;
}): SwapChains {
  const get: SwapChains["get"] = (name, field) => {
    const found = deps.chains[name];
    if (found) return found;
    const known = Object.keys(deps.chains);
    throw new LockstepError("chain-unknown", `there is no chain "${name}"; configured are ${known.join(", ")}`, {
      details: { field, known },
    });
  };
  return {
    get,
    timing: (source, target) => ({
      source: get(source).timing,
      target: get(target).timing,
      reaction: deps.reactionSeconds,
    }),
    async now(source, target) {
      const heads = await Promise.all([source, target].map((name) => get(name).chain.block("latest")));
      return heads.reduce(
        (time, head) => (head && head.timestamp > time ? head.timestamp : time),
        unixSeconds(deps.clock),
      );
    },
    ofSwap: (swap) => ({ source: get(swap.terms.source.chain), target: get(swap.terms.target.chain) }),
  };
}
