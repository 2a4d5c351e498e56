import type { Chain } from "../chain/chain.ts";
import type { Hex } from "../kernel/codec.ts";
import type { Log } from "../observe/log.ts";
import { allAddresses, type News } from "./announce.ts";
import type { ChainObserver, IndexedBlock } from "./observer.ts";
import type { Recheck } from "./recheck.ts";
import { logId, type SpanReader } from "./spans.ts";
import { type IndexState, type RecordedBlock, tipOf } from "./tables.ts";

type RereadRequest = {
  readonly chain: Chain;
  readonly reader: SpanReader;
  readonly observers: readonly ChainObserver[];
  readonly log: Log;
  readonly logWindow: number;
  readonly from: bigint;
  readonly state: IndexState;
  commit(from: IndexState, to: IndexState, news: News): Promise<IndexState>;
};

/** Shows blocks up to the tip again of which the node had left out logs, one commit a window; the checkpoint stays. */
export async function reread({ state, commit, ...request }: RereadRequest): Promise<void> {
  const { chain, reader, observers, log } = request;
  const addresses = allAddresses(chain.name, observers);
  const tip = tipOf(state).number;
  let now = state;
  for (let { from } = request; from <= tip; ) {
    const end = from + BigInt(request.logWindow) - 1n;
    const range = { from, to: end < tip ? end : tip };
    const found = await rereadBlocks({ chain, reader, known: now.known, range, addresses });
    if (found === undefined) return;
    for (const { block } of found.missed) log.error({ block: block.number }, "logs had been left out by the node");
    if (found.missed.length > 0) now = await commit(now, { ...now, known: found.known }, { indexed: found.missed });
    from = range.to + 1n;
  }
}

/**
 * Blocks of a range that were not shown whole, with all their logs. Those that are no longer recorded are final and
 * come in any case. Undefined when the chain is not the recorded one any more.
 */
async function rereadBlocks(request: {
  chain: Chain;
  reader: SpanReader;
  known: readonly RecordedBlock[];
  range: { readonly from: bigint; readonly to: bigint };
  addresses: readonly Hex[];
}): Promise<Recheck | undefined> {
  const { chain, reader, known, range, addresses } = request;
  const logs = await reader.logs(range.from, range.to, addresses);
  const recorded = new Map(known.map((block) => [block.number, block]));
  const missed: IndexedBlock[] = [];
  const byBlock = [...Map.groupBy(logs, (entry) => entry.blockNumber)].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [number, found] of byBlock) {
    const before = recorded.get(number);
    const ids = found.map(logId);
    if (before !== undefined && found.some((entry) => entry.blockHash !== before.hash)) return undefined;
    if (before !== undefined && ids.every((id) => before.logs.includes(id))) continue;
    const block = await chain.block(number);
    if (block === undefined || found.some((entry) => entry.blockHash !== block.hash)) return undefined;
    missed.push({ block, logs: found });
    if (before) recorded.set(number, { ...before, logs: [...new Set([...before.logs, ...ids])] });
  }
  return { known: [...recorded.values()], missed };
}
