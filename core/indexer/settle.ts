import type { Chain } from "../chain/chain.ts";
import type { Log } from "../observe/log.ts";
import { allAddresses, type News } from "./announce.ts";
import type { ChainObserver } from "./observer.ts";
import { recheck } from "./recheck.ts";
import type { KnownBlock } from "./reconcile.ts";
import type { SpanReader } from "./spans.ts";
import { type IndexState, type RecordedBlock, tipOf } from "./tables.ts";

/** Final blocks that stay recorded, so that a node that lags is told from a chain that changed; more while unchecked. */
const keptFinal = 64n;
const pruneLot = 32;

type SettleRequest = {
  readonly chain: Chain;
  readonly reader: SpanReader;
  readonly observers: readonly ChainObserver[];
  readonly log: Log;
  /** The state as it will be, with the final height as it was. */
  readonly next: IndexState;
  readonly final: KnownBlock;
  /** Blocks above were read just now and need no second look. */
  readonly seen: bigint;
};

/**
 * The state with what is final by now, and what a second look at blocks that become final brought to light. Undefined
 * when the final block is not the recorded one, or lies above a tip that is not, or no longer, the chain's.
 */
export async function settle(request: SettleRequest): Promise<{ state: IndexState; news: News } | undefined> {
  const { chain, reader, observers, log, next, final, seen } = request;
  const tip = tipOf(next);
  const height = final.number < tip.number ? final.number : tip.number;
  if (height <= next.final) return { state: next, news: { indexed: [] } };
  const recorded = next.known.find(({ number }) => number === final.number);
  if (recorded !== undefined && recorded.hash !== final.hash) return undefined;
  // A final block vouches for those below it only as far as they are its ancestors.
  if (final.number > tip.number && (await chain.block(tip.number))?.hash !== tip.hash) return undefined;
  const range = { above: next.final, upTo: height < seen ? height : seen, all: false };
  const addresses = allAddresses(chain.name, observers);
  const found = await recheck({ chain, reader, known: next.known, range, addresses });
  if (found === undefined) return undefined;
  for (const { block } of found.missed) {
    log.error({ chain: chain.name, block: block.number }, "logs had been hidden by the node");
  }
  const checked = next.checked === next.final && range.upTo > range.above ? range.upTo : next.checked;
  const known = withoutOld(found.known, least(height - keptFinal, checked + 1n));
  return { state: { ...next, final: height, checked, known }, news: { indexed: found.missed, finalized: height } };
}

const least = (a: bigint, b: bigint) => (a < b ? a : b);

/** Blocks below `lowest` go in lots, since each lot costs a statement. */
function withoutOld(known: readonly RecordedBlock[], lowest: bigint): readonly RecordedBlock[] {
  const fresh = known.filter(({ number }) => number >= lowest);
  return known.length - fresh.length < pruneLot ? known : fresh;
}
