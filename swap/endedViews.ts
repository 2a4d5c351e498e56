import { type Prepared, prepare } from "#core/http/prepared.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { createRecent } from "#core/kernel/recent.ts";
import { getSwap } from "./routes.ts";
import type { SwapView } from "./schemas.ts";

/** For as long a view may be behind a reorganisation of final blocks, which stops the indexer and takes an operator. */
const keepMs = 10_000;
const mostKept = 2_000;

/** What is shown of swaps that are over. */
export type EndedViews = {
  /** The answer for what was asked for by this name a moment ago. */
  get(reference: string): Prepared | undefined;
  /** The answer for a view, kept where nothing can happen to the swap any more. */
  keep(reference: string, view: SwapView): Prepared | SwapView;
};

/** Both legs were locked and have ended in final blocks: a view of such a swap is the same whenever it is made. */
const isOver = ({ source, target }: SwapView): boolean => source.end?.final === true && target.end?.final === true;

/**
 * Most of what is asked for again and again is over, and a dashboard asks often. One that is not over is never kept: what
 * it shows depends on the time, on chains and on halts.
 */
export function createEndedViews(deps: { clock: Clock }): EndedViews {
  const kept = createRecent<Prepared>({ clock: deps.clock, most: mostKept });
  return {
    get: (reference) => kept.get(reference),
    keep(reference, view) {
      if (!isOver(view)) return view;
      const answer = prepare(getSwap, view);
      kept.set(reference, answer, deps.clock.now() + keepMs);
      return answer;
    },
  };
}
