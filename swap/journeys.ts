import type { Db } from "#core/db/db.ts";
import type { JourneySource } from "#core/events/journeys.ts";
import { type EndedStage, eventsOfTransactions, instant, transactionOf } from "#core/events/stages.ts";
import type { EventStore, StoredEvent } from "#core/events/store.ts";
import { rootKey } from "#core/observe/tracing.ts";
import type { TrackingId } from "#core/observe/tracking.ts";
import { batchIntentOf } from "./batches.ts";
import { type BatchEvent, batchStream, type SwapEvent, swapStream, swapStreams } from "./events.ts";
import { swapStages } from "./stages.ts";

type Deps = { readonly db: Db; readonly store: Pick<EventStore, "loadMany"> };

/** Swaps whose histories are read in one go. */
const mostAtOnce = 200;

/** Tells the ways of swaps, and of the transactions that do the same step of several. */
export function createSwapJourneys({ db, store }: Deps): JourneySource {
  async function stagesOfSwaps(streams: readonly string[]): Promise<EndedStage[]> {
    const histories = await store.loadMany<SwapEvent>(db, streams);
    const begun = [...histories.values()].flat();
    const named = begun.flatMap((event) => (event.type === "StepStarted" ? event.data.intentId : []));
    const intents = await eventsOfTransactions(store, db, named);
    return [...histories.values()].flatMap((history) => swapStages(history, intents));
  }

  /** The swaps of batches whose transactions have got somewhere. */
  async function swapsOfBatches(events: readonly StoredEvent[]): Promise<string[]> {
    const batches = events.map(subjectOf).filter((stream) => stream.startsWith(batchStream("")));
    const loaded = await store.loadMany<BatchEvent>(db, [...new Set(batches)]);
    return [...loaded.values()].flat().flatMap(({ data }) => data.swaps.map(swapStream));
  }

  return {
    async stagesOf(events, keeps) {
      const own = events.map(subjectOf).filter((stream) => stream.startsWith(swapStreams));
      const streams = new Set([...own, ...(await swapsOfBatches(events))]);
      const kept = [...streams].filter(keeps);
      const stages = events.flatMap((event) => batchRoot(event, keeps));
      for (let at = 0; at < kept.length; at += mostAtOnce) {
        stages.push(...(await stagesOfSwaps(kept.slice(at, at + mostAtOnce))));
      }
      return stages;
    },
  };
}

/** The stream of what an event is about: its own, or the one that its transaction is for. */
const subjectOf = (event: StoredEvent): string => transactionOf(event)?.subject ?? event.stream;

/** What the work for a batch's transaction is below. */
function batchRoot(event: StoredEvent, keeps: (tracking: TrackingId) => boolean): EndedStage[] {
  if (!event.stream.startsWith(batchStream(""))) return [];
  const tracking = batchIntentOf(event.stream);
  const { data } = event as StoredEvent<BatchEvent>;
  if (!keeps(tracking)) return [];
  const facts = { "lockstep.step": data.step, "lockstep.chain": data.chain, "lockstep.swaps": data.swaps.length };
  return [{ ...instant(tracking, "swap.batch", event, facts), key: rootKey }];
}
