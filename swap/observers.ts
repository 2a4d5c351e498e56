import type { ChainObserver } from "#core/indexer/observer.ts";

/** Several observers as one: each is told everything that it asked for, in their order. */
export function combineObservers(observers: readonly ChainObserver[]): ChainObserver {
  return {
    addresses: (chain) => [...new Set(observers.flatMap((each) => each.addresses(chain)))],
    secondLook: [...new Set(observers.flatMap((each) => each.secondLook ?? []))],
    async included(tx, chain, blocks) {
      for (const each of observers) await each.included(tx, chain, blocks);
    },
    async reorged(tx, chain, ancestor, deep) {
      for (const each of observers) await each.reorged(tx, chain, ancestor, deep);
    },
    async finalized(tx, chain, height) {
      for (const each of observers) await each.finalized(tx, chain, height);
    },
    async check(chain, final, start) {
      let complete = true;
      for (const each of observers) complete = ((await each.check?.(chain, final, start)) ?? true) && complete;
      return complete;
    },
  };
}
