import type { Chain } from "../chain/chain.ts";
import type { Hex } from "../kernel/codec.ts";
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

/**
 * Shows the blocks up to the tip again, one commit a window; the checkpoint stays. Also those that were shown whole:
 * what an observer passed over then (a lane that was not served yet) may be what it misses now. False when the chain is
 * not the recorded one any more.
 */
export async function reread(parts: Rereading, state: IndexState, from: bigint): Promise<boolean> {
  const tip = tipOf(state).number;
  let now = state;
  for (let above = from - 1n; above < tip; ) {
    const end = above + BigInt(parts.logWindow);
    const upTo = end < tip ? end : tip;
    const next = await show(parts, now, { above, upTo, all: true }, { checked: now.checked });
    if (next === undefined) return false;
    now = next;
    above = upTo;
  }
  return true;
}

/**
 * A second look at final blocks that had only one, a window at a time, for all events or for those that observers name
 * (`secondLook`), where their checks work. Does nothing when there are none. The state after it; the same one when the
 * chain is not the recorded one any more, which is for the next look at its head to find out.
 */
export async function lookTwice(parts: Rereading, state: IndexState, only: "named" | "all"): Promise<IndexState> {
  if (state.checked >= state.final) return state;
  const end = state.checked + BigInt(parts.logWindow);
  const upTo = end < state.final ? end : state.final;
  const events = only === "named" ? secondLook(parts.observers) : undefined;
  return (await show(parts, state, { above: state.checked, upTo, all: false }, { checked: upTo, events })) ?? state;
}

async function show(
  parts: Rereading,
  state: IndexState,
  range: { readonly above: bigint; readonly upTo: bigint; readonly all: boolean },
  { checked, events }: { readonly checked: bigint; readonly events?: readonly Hex[] | undefined },
): Promise<IndexState | undefined> {
  const { chain, reader, observers, log } = parts;
  const addresses = allAddresses(chain.name, observers);
  const found = await recheck({ chain, reader, known: state.known, range, addresses, events });
  if (found === undefined) return undefined;
  for (const block of found.incomplete) {
    log.error({ chain: chain.name, block }, "logs had been left out by the node");
  }
  if (found.missed.length === 0 && checked === state.checked) return state;
  // What was missed may be final by now, and an idle chain would not say so again.
  const news = found.missed.length > 0 ? { indexed: found.missed, finalized: state.final } : { indexed: [] };
  return parts.commit(state, { ...state, checked, known: found.known }, news);
}

/** What all observers together need a second look for; undefined for everything. */
function secondLook(observers: readonly ChainObserver[]): readonly Hex[] | undefined {
  const events = new Set<Hex>();
  for (const observer of observers) {
    if (observer.secondLook === undefined) return undefined;
    for (const event of observer.secondLook) events.add(event);
  }
  return [...events];
}
