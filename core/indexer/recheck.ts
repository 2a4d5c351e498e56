import type { Chain } from "../chain/chain.ts";
import type { Hex } from "../kernel/codec.ts";
import type { IndexedBlock } from "./observer.ts";
import { logId, type SpanReader } from "./spans.ts";
import type { RecordedBlock } from "./tables.ts";

export type Recheck = {
  /** The blocks with the ids of all logs known now. */
  readonly known: readonly RecordedBlock[];
  /** Blocks with logs that the first look did not show. */
  readonly missed: readonly IndexedBlock[];
};

/**
 * A second look at blocks that are about to count as final: a node that lagged or hid logs the first time is found out
 * before anything is built on their absence. Logs that show only the first time stay, their block's hash vouches for
 * them. Undefined when a log names another block than the recorded one.
 */
export async function recheckFinal(request: {
  chain: Chain;
  reader: SpanReader;
  known: readonly RecordedBlock[];
  range: { readonly above: bigint; readonly upTo: bigint };
  addresses: readonly Hex[];
}): Promise<Recheck | undefined> {
  const { chain, known, range, addresses } = request;
  if (range.upTo <= range.above || addresses.length === 0) return { known, missed: [] };
  const logs = await request.reader.logs(range.above + 1n, range.upTo, addresses);
  const byBlock = Map.groupBy(logs, (entry) => entry.blockNumber);
  const missed: IndexedBlock[] = [];
  const checked: RecordedBlock[] = [];
  for (const recorded of known) {
    const found = byBlock.get(recorded.number) ?? [];
    if (found.some((entry) => entry.blockHash !== recorded.hash)) return undefined;
    const fresh = found.filter((entry) => !recorded.logs.includes(logId(entry)));
    if (fresh.length === 0) {
      checked.push(recorded);
      continue;
    }
    const block = await chain.block(recorded.number);
    if (block?.hash !== recorded.hash) return undefined;
    missed.push({ block, logs: fresh });
    checked.push({ ...recorded, logs: [...recorded.logs, ...fresh.map(logId)] });
  }
  return { known: checked, missed };
}
