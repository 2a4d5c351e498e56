import type { Block, Chain } from "#core/chain/chain.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Live } from "#core/kernel/live.ts";
import type { ChainTiming, SwapTiming } from "./deadlines.ts";

/** A chain as swaps need it. A paused one takes no new locks; of a removed one only what has ended is shown. */
export type SwapChain = {
  readonly chain: Chain;
  readonly timelockContract: Hex;
  /** As configured: what the chain is judged by. */
  readonly timing: ChainTiming;
  /** Makes no block while nothing is to go into one, so that an old head is no sign of a standstill. */
  readonly idles?: boolean;
  /** What deadlines are computed from: never less than configured, more where the chain shows that it needs more. */
  presentTiming?(): ChainTiming;
  /** Wei a gas that a transaction of a kind ever offers at most, for an effect worth so many wei; no bound where left out. */
  highestFee?(kind: string, effect: { readonly gas: bigint; readonly worth: bigint | undefined }): bigint;
  readonly state?: "active" | "paused" | "removed";
};

export type SwapChains = {
  /** Throws `chain-unknown` naming the field of the request. */
  get(name: string, field?: string): SwapChain;
  /** Throws `chain-unknown` naming the field of the request. A removed chain is known. */
  requireKnown(name: string, field: string): void;
  /** Undefined for a chain that is unknown or removed. */
  find(name: string): SwapChain | undefined;
  /** True while one of them takes no new locks. */
  isPaused(...names: readonly string[]): boolean;
  /** What deadlines are computed from now. Of removed chains too. */
  timing(source: string, target: string): SwapTiming;
  /** True time as far as this machine knows it. Unix seconds. */
  clockTime(): bigint;
  /**
   * Time for steps that bring a swap forward, on the later of two chains: true time, or a latest block that is ahead of
   * it. Throws `chain-time-off` when a block is ahead by more than the chain's configured bound, since every deadline
   * rests on it; what is observed does not widen that, or a chain that runs away would never be found out. `headOf` answers latest
   * blocks that were read before.
   */
  progressTime(source: string, target: string, headOf?: (at: SwapChain) => Promise<Block | undefined>): Promise<bigint>;
};

export function createSwapChains(deps: { chains: Live<SwapChain>; reactionSeconds: bigint; clock: Clock }): SwapChains {
  const isThere = ({ state }: SwapChain) => state !== "removed";
  const find = (name: string) => {
    const found = deps.chains.get(name);
    return found && isThere(found) ? found : undefined;
  };
  const unknown = (name: string, field: string | undefined) => {
    const known = deps.chains.entries().flatMap(([each, chain]) => (isThere(chain) ? [each] : []));
    return new LockstepError("chain-unknown", `there is no chain "${name}"; configured are ${known.join(", ")}`, {
      details: { field, known },
    });
  };
  const get: SwapChains["get"] = (name, field) => {
    const found = find(name);
    if (found) return found;
    throw unknown(name, field);
  };
  function headTime({ chain, timing }: SwapChain, head: Block | undefined): bigint {
    const now = unixSeconds(deps.clock);
    const ahead = (head?.timestamp ?? now) - now;
    if (ahead <= timing.skew) return head?.timestamp ?? now;
    throw new LockstepError(
      "chain-time-off",
      `${chain.name} is ${ahead} s ahead of the clock; its bound is ${timing.skew} s`,
      {
        details: { chain: chain.name, ahead, bound: timing.skew },
      },
    );
  }

  return {
    get,
    requireKnown(name, field) {
      if (!deps.chains.get(name)) throw unknown(name, field);
    },
    find,
    isPaused: (...names) => names.some((name) => find(name)?.state === "paused"),
    timing: (source, target) => ({
      source: timingNow(deps.chains.get(source) ?? get(source)),
      target: timingNow(deps.chains.get(target) ?? get(target)),
      reaction: deps.reactionSeconds,
    }),
    clockTime: () => unixSeconds(deps.clock),
    async progressTime(source, target, headOf = ({ chain }) => chain.block("latest")) {
      const chains = [source, target].map((name) => get(name));
      const times = await Promise.all(chains.map(async (at) => headTime(at, await headOf(at))));
      return times.reduce((latest, time) => (time > latest ? time : latest), unixSeconds(deps.clock));
    },
  };
}

const timingNow = (chain: SwapChain): ChainTiming => chain.presentTiming?.() ?? chain.timing;
