import type { Chain } from "../chain/chain.ts";
import type { Log } from "../observe/log.ts";
import { allAddresses, type News } from "./announce.ts";
import type { ChainObserver } from "./observer.ts";
import { recheck } from "./recheck.ts";
import type { SpanReader } from "./spans.ts";
import { type IndexState, tipOf } from "./tables.ts";

export type Rereading = {
  readonly chain: Chain;
  readonly reader: SpanReader;
  readonly observers: readonly ChainObserver[];
  readonly log: Log;
  readonly logWindow: number;
  commit(from: IndexState, to: IndexState, news: News): Promise<IndexState>;
};

/** Shows blocks up to the tip again of which the node had left out logs, one commit a window; the checkpoint stays. */
export async function reread(parts: Rereading, state: IndexState, from: bigint): Promise<void> {
  const tip = tipOf(state).number;
  let now = state;
  for (let above = from - 1n; above < tip; ) {
    const end = above + BigInt(parts.logWindow);
    const upTo = end < tip ? end : tip;
    const next = await showMissed(parts, now, { above, upTo }, now.checked);
    if (next === undefined) return;
    now = next;
    above = upTo;
  }
}

/**
 * A second look at final blocks that had only one, a window at a time. Does nothing when there are none. The state after
 * it; the same one when the chain is not the recorded one any more, which is for the next look at its head to find out.
 */
export async function lookTwice(parts: Rereading, state: IndexState): Promise<IndexState> {
  if (state.checked >= state.final) return state;
  const end = state.checked + BigInt(parts.logWindow);
  const upTo = end < state.final ? end : state.final;
  return (await showMissed(parts, state, { above: state.checked, upTo }, upTo)) ?? state;
}

async function showMissed(
  parts: Rereading,
  state: IndexState,
  range: { readonly above: bigint; readonly upTo: bigint },
  checked: bigint,
): Promise<IndexState | undefined> {
  const { chain, reader, observers, log } = parts;
  const addresses = allAddresses(chain.name, observers);
  const found = await recheck({ chain, reader, known: state.known, range, addresses });
  if (found === undefined) return undefined;
  for (const { block } of found.missed) {
    log.error({ chain: chain.name, block: block.number }, "logs had been left out by the node");
  }
  if (found.missed.length === 0 && checked === state.checked) return state;
  // What was missed may be final by now, and an idle chain would not say so again.
  const news = found.missed.length > 0 ? { indexed: found.missed, finalized: state.final } : { indexed: [] };
  return parts.commit(state, { ...state, checked, known: found.known }, news);
}
