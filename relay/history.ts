import type { Queryable } from "#core/db/db.ts";
import type { EventStore, StoredEvent } from "#core/events/store.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import type { Lane } from "./lane.ts";
import { impliedEvents, type LaneEvent } from "./laneEvents.ts";

type Event = StoredEvent<MessageEvent>;
/** A time in which a message had a place in a lane, as positions of events; without an end while it has it. */
type Stay = Lane & { readonly id: string; readonly nonce: bigint; readonly from: bigint; readonly to?: bigint };

/**
 * All that happened to messages, in order, by their ids: the events of their own streams, and what the events of their
 * lanes imply for them. Messages that do not exist are absent.
 */
export async function historiesOf(
  store: Pick<EventStore, "loadMany" | "loadAt">,
  from: Queryable,
  ids: readonly string[],
): Promise<Map<string, Event[]>> {
  const streams = await store.loadMany<MessageEvent>(from, ids.map(messageStream));
  const own = new Map(
    ids.flatMap((id) => {
      const events = streams.get(messageStream(id));
      return events ? [[id, events] as const] : [];
    }),
  );
  const covering = await runsOf(
    store,
    from,
    [...own].flatMap(([id, events]) => staysOf(id, events)),
  );
  return new Map([...own].map(([id, events]) => [id, merged(events, covering.get(id) ?? [])]));
}

/** As `historiesOf`, for one message; empty when there is none. */
export async function historyOf(
  store: Pick<EventStore, "loadMany" | "loadAt">,
  from: Queryable,
  id: string,
): Promise<Event[]> {
  return (await historiesOf(store, from, [id])).get(id) ?? [];
}

function staysOf(id: string, events: readonly Event[]): Stay[] {
  const stays: Stay[] = [];
  for (const event of events) {
    const last = stays.at(-1);
    if (last && last.to === undefined && (event.type === "MessageSent" || event.type === "MessageReorged")) {
      stays.splice(-1, 1, { ...last, to: event.position });
    }
    if (event.type !== "MessageSent") continue;
    const { origin, destination, nonce } = event.data;
    stays.push({ id, origin, destination, nonce, from: event.position });
  }
  return stays;
}

async function runsOf(
  store: Pick<EventStore, "loadAt">,
  from: Queryable,
  stays: readonly Stay[],
): Promise<Map<string, StoredEvent<LaneEvent>[]>> {
  if (stays.length === 0) return new Map();
  const rows = await from.query<{ id: string; position: bigint }>(
    `SELECT stay.id, run.position
       FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[])
            AS stay(id, origin, destination, nonce, since, until)
       JOIN relay_runs AS run ON run.nonces @> stay.nonce
        AND run.origin = stay.origin AND run.destination = stay.destination
        AND run.position > stay.since AND (stay.until IS NULL OR run.position < stay.until)`,
    [
      stays.map(({ id }) => id),
      stays.map(({ origin }) => origin),
      stays.map(({ destination }) => destination),
      stays.map(({ nonce }) => nonce.toString()),
      stays.map((stay) => stay.from.toString()),
      stays.map(({ to }) => to?.toString() ?? null),
    ],
  );
  const events = await store.loadAt<LaneEvent>(from, [...new Set(rows.map(({ position }) => position))]);
  const byPosition = new Map(events.map((event) => [event.position, event]));
  const found = rows.flatMap(({ id, position }) => {
    const event = byPosition.get(position);
    return event ? [{ id, event }] : [];
  });
  return new Map([...Map.groupBy(found, ({ id }) => id)].map(([id, list]) => [id, list.map(({ event }) => event)]));
}

/** An implied event has the version of the last one before it: it adds nothing to the message's own stream. */
function merged(own: readonly Event[], all: readonly StoredEvent<LaneEvent>[]): Event[] {
  const [first] = own;
  // What was archived has what runs say of it, and the run may still be there for others.
  const told = new Set(own.map(({ position }) => position));
  const runs = all.filter(({ position }) => !told.has(position));
  if (!first || runs.length === 0) return [...own];
  const implied = runs.flatMap((run) =>
    impliedEvents(run).map((event): Event => ({ ...run, ...event, stream: first.stream, version: 0 })),
  );
  let { version } = first;
  return [...own, ...implied]
    .toSorted((a, b) => (a.position === b.position ? 0 : a.position < b.position ? -1 : 1))
    .map((event) => {
      version = Math.max(version, event.version);
      return { ...event, version };
    });
}
