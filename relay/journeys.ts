import type { Db } from "#core/db/db.ts";
import type { JourneySource } from "#core/events/journeys.ts";
import { type EndedStage, eventsOfTransactions, instant, transactionOf } from "#core/events/stages.ts";
import type { EventStore, StoredEvent } from "#core/events/store.ts";
import { rootKey } from "#core/observe/tracing.ts";
import type { TrackingId } from "#core/observe/tracking.ts";
import { type MessageEvent, messageIdOf, messageStream } from "./events.ts";
import { historiesOf } from "./history.ts";
import { deliveredBy } from "./intents.ts";
import { laneName } from "./lane.ts";
import { isLaneEvent, type Run } from "./laneEvents.ts";
import { deliveryTracking, messageStages } from "./stages.ts";

type Deps = { readonly db: Db; readonly store: Pick<EventStore, "loadMany" | "loadAt"> };

/** Messages whose histories are read in one go. */
const mostAtOnce = 200;

/** Tells the ways of messages, and of the deliveries that carry them. */
export function createRelayJourneys({ db, store }: Deps): JourneySource {
  async function stagesOfMessages(ids: readonly string[]): Promise<EndedStage[]> {
    const histories = await historiesOf(store, db, ids);
    const named = [...histories.values()].flat().flatMap((event) => intentOf(event) ?? []);
    const intents = await eventsOfTransactions(store, db, named);
    return [...histories].flatMap(([id, history]) => messageStages(id, history, intents));
  }

  return {
    async stagesOf(events, keeps, most) {
      const runs = events.flatMap((event) => runOf(event) ?? []);
      const named = events.flatMap((event) => messageOf(event) ?? []);
      const ids = new Set([...named, ...(await messagesOfRuns(db, runs, most))]);
      const kept = [...ids].filter((id) => keeps(messageStream(id)));
      const stages = events.flatMap((event) => deliveryRoot(event, keeps));
      for (let at = 0; at < kept.length; at += mostAtOnce) {
        stages.push(...(await stagesOfMessages(kept.slice(at, at + mostAtOnce))));
      }
      return stages;
    },
  };
}

/** The intent that an event of a message says has begun. */
function intentOf({ type, data }: StoredEvent<MessageEvent>): string | undefined {
  const begins = type === "MessageSubmitted" || type === "DeliveryStarted" || type === "RetryStarted";
  return begins ? data.intentId : undefined;
}

/** The message that an event is about, where it says so itself. */
const messageOf = (event: StoredEvent): string | undefined =>
  messageIdOf(transactionOf(event)?.subject ?? event.stream);

/** The messages that an event is about, where it says so by their places in a lane. */
function runOf(event: StoredEvent): Run | undefined {
  if (isLaneEvent(event)) return event.data;
  const transaction = transactionOf(event);
  return transaction && deliveredBy(transaction.intentId, transaction.subject);
}

/** All of them, or of each run the first ones that are its share of `most`, so that no run is left out. */
async function messagesOfRuns(db: Db, runs: readonly Run[], most: number | undefined): Promise<string[]> {
  if (runs.length === 0) return [];
  const rows = await db.query<{ id: string }>(
    // In order, so that each run is read off the index by itself: joined freely, all messages would be read for a few runs.
    `SELECT DISTINCT m.id FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[]) AS run(origin, destination, first, last)
      CROSS JOIN LATERAL (
        SELECT id FROM relay_messages
         WHERE origin = run.origin AND destination = run.destination AND nonce BETWEEN run.first AND run.last
         ORDER BY nonce OFFSET 0 LIMIT $5::bigint
      ) AS m`,
    [
      runs.map(({ origin }) => origin),
      runs.map(({ destination }) => destination),
      runs.map(({ firstNonce }) => firstNonce.toString()),
      runs.map(({ lastNonce }) => lastNonce.toString()),
      most === undefined ? null : Math.ceil(most / runs.length),
    ],
  );
  return rows.map(({ id }) => id);
}

/** What the work for a delivery's transaction is below. */
function deliveryRoot(event: StoredEvent, keeps: (tracking: TrackingId) => boolean): EndedStage[] {
  if (!isLaneEvent(event) || event.type !== "DeliveriesStarted") return [];
  const { intentId, firstNonce, lastNonce, attempt } = event.data;
  const tracking = deliveryTracking(intentId);
  if (!keeps(tracking)) return [];
  const facts = {
    ...{ "lockstep.lane": laneName(event.data), "lockstep.attempt": attempt },
    ...{ "lockstep.first_nonce": String(firstNonce), "lockstep.last_nonce": String(lastNonce) },
  };
  return [{ ...instant(tracking, "delivery", event, facts), key: rootKey }];
}
