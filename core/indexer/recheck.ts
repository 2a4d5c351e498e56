import type { Chain } from "../chain/chain.ts";
import type { Hex } from "../kernel/codec.ts";
import type { IndexedBlock } from "./observer.ts";
import { logId, type SpanReader } from "./spans.ts";
import type { RecordedBlock } from "./tables.ts";

export type Recheck = {
  /** The blocks with the ids of all logs known now. */
  readonly known: readonly RecordedBlock[];
  /** Blocks that have logs which were not recorded, or all that have logs, ascending, each with all of its logs. */
  readonly missed: readonly IndexedBlock[];
  /** Which of these have logs that were not recorded, as far as is known: old blocks are not recorded one by one. */
  readonly incomplete: readonly bigint[];
};

/**
 * A further look at blocks that were indexed, for logs that a node which lagged or lied left out. A block that is not
 * recorded counts as one that showed no logs. Logs that show only the first time stay, their block's hash vouches for
 * them. Undefined when the chain is not the recorded one any more.
 */
export async function recheck(request: {
  chain: Chain;
  reader: SpanReader;
  known: readonly RecordedBlock[];
  /** `all`: blocks are shown whatever is recorded of them. */
  range: { readonly above: bigint; readonly upTo: bigint; readonly all: boolean };
  addresses: readonly Hex[];
  /** Only these events; not together with `all`, which shows blocks whole. */
  events?: readonly Hex[] | undefined;
}): Promise<Recheck | undefined> {
  const { chain, reader, known, range, addresses, events } = request;
  if (range.upTo <= range.above || addresses.length === 0) return { known, missed: [], incomplete: [] };
  const filter = { fromBlock: range.above + 1n, toBlock: range.upTo, addresses };
  const logs = await reader.logs({ ...filter, ...(events && { events }) });
  const recorded = new Map(known.map((block) => [block.number, block]));
  const missed: IndexedBlock[] = [];
  const incomplete: bigint[] = [];
  const byBlock = [...Map.groupBy(logs, (entry) => entry.blockNumber)].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [number, found] of byBlock) {
    const before = recorded.get(number);
    const ids = found.map(logId);
    if (before !== undefined && found.some((entry) => entry.blockHash !== before.hash)) return undefined;
    const isWhole = before !== undefined && ids.every((id) => before.logs.includes(id));
    if (isWhole && !range.all) continue;
    if (!isWhole && (before !== undefined || !range.all)) incomplete.push(number);
    const block = await chain.block(number);
    if (block === undefined || found.some((entry) => entry.blockHash !== block.hash)) return undefined;
    missed.push({ block, logs: found });
    if (before && !isWhole) recorded.set(number, { ...before, logs: [...new Set([...before.logs, ...ids])] });
  }
  return { known: missed.length === 0 ? known : [...recorded.values()], missed, incomplete };
}
