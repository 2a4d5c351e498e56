import type { Tx } from "../db/db.ts";
import type { Hex } from "../kernel/codec.ts";
import type { ChainObserver, IndexedBlock } from "./observer.ts";

export type News = {
  /** Everything above this height is gone. */
  readonly ancestor?: bigint;
  /** Final blocks are among those that are gone. */
  readonly deep?: boolean;
  readonly indexed: readonly IndexedBlock[];
  readonly finalized?: bigint;
};

/** Tells every observer, one after the other, what concerns it. */
export async function announce(tx: Tx, chain: string, observers: readonly ChainObserver[], news: News): Promise<void> {
  for (const observer of observers) {
    if (news.ancestor !== undefined) await observer.reorged(tx, chain, news.ancestor, news.deep === true);
    const wanted = wantedBlocks(news.indexed, observer.addresses(chain));
    if (wanted.length > 0) await observer.included(tx, chain, wanted);
    if (news.finalized !== undefined) await observer.finalized(tx, chain, news.finalized);
  }
}

/** The addresses of all observers, each once. */
export function allAddresses(chain: string, observers: readonly ChainObserver[]): Hex[] {
  const byLower = new Map(observers.flatMap((each) => each.addresses(chain)).map((each) => [each.toLowerCase(), each]));
  return [...byLower.values()];
}

function wantedBlocks(blocks: readonly IndexedBlock[], addresses: readonly Hex[]): IndexedBlock[] {
  const wanted = new Set(addresses.map((address) => address.toLowerCase()));
  return blocks
    .map(({ block, logs }) => ({ block, logs: logs.filter((log) => wanted.has(log.address.toLowerCase())) }))
    .filter(({ logs }) => logs.length > 0);
}
