import type { Chain } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Log } from "#core/observe/log.ts";
import { appendedInWindows, emptyHead, linksBehind } from "./links.ts";
import type { Link, SigningLane, SigningStore } from "./signingStore.ts";

/** A lane from the followed chain. */
export type FollowedLane = SigningLane & { readonly destinationChainId: number };

/** A lane's way from one head to another. */
export type Way = { readonly lane: FollowedLane; readonly from: Link; readonly to: Link };

/**
 * Sets aside the links that lead each lane to where it is agreed to be, from the logs of whichever endpoint has them
 * all: what leads there proves itself, whoever gave it. Only one window of blocks is in memory at a time. False when no
 * endpoint has them; nothing is set aside then.
 */
export type Drafter = (ways: readonly Way[], fromBlock: bigint, toBlock: bigint) => Promise<boolean>;

export function createDrafter(deps: {
  origin: string;
  gateway: Hex;
  /** In the order in which they are to be asked. */
  endpoints(): readonly Chain[];
  logWindow: bigint;
  store: SigningStore;
  log: Log;
}): Drafter {
  const { origin, gateway, store, log } = deps;

  async function draftFrom(endpoint: Chain, ways: readonly Way[], fromBlock: bigint, toBlock: bigint) {
    const heads = new Map(ways.map((way) => [way, way.from]));
    const range = { fromBlock, toBlock, window: deps.logWindow };
    for await (const ids of appendedInWindows(endpoint, gateway, range)) {
      for (const way of ways) {
        const { lane, to } = way;
        const own = ids.filter(({ destinationChainId }) => destinationChainId === lane.destinationChainId);
        const links = linksBehind(heads.get(way) ?? way.from, own);
        const last = links?.at(-1);
        if (!links || (last && last.nonce > to.nonce)) return false;
        if (!last) continue;
        store.draft(lane, links);
        heads.set(way, last);
      }
    }
    return ways.every((way) => isSame(heads.get(way) ?? way.from, way.to));
  }

  return async (ways, fromBlock, toBlock) => {
    for (const endpoint of deps.endpoints()) {
      store.dropDrafts(origin);
      const found = await draftFrom(endpoint, ways, fromBlock, toBlock).catch((error: unknown) => {
        log.debug({ err: error }, "endpoint gave no logs");
        return false;
      });
      if (found) return true;
    }
    store.dropDrafts(origin);
    return false;
  };
}

export const isSame = (a: Link, b: Link): boolean =>
  a.nonce === b.nonce && (a.accumulator === b.accumulator || a.nonce === emptyHead.nonce);
