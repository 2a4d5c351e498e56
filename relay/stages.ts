import { type EndedStage, instant, type Opening, transactionStages } from "#core/events/stages.ts";
import type { StoredEvent } from "#core/events/store.ts";
import { rootKey } from "#core/observe/tracing.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { isRouteless } from "./jobs.ts";
import { laneName } from "./lane.ts";

type Event = StoredEvent<MessageEvent>;
type EventNamed<T extends MessageEvent["type"]> = Extract<Event, { type: T }>;

/** What is known of a message while its history is gone through. */
type Way = {
  readonly id: string;
  readonly tracking: string;
  readonly begun: number;
  /** What its stages are counted under. */
  readonly route: string;
  /** When the last thing happened that the next one can be measured from. */
  since: number;
  /** The attempt that is under way: its sending, a delivery or a retry. */
  open?: (Opening & { readonly name: string }) | undefined;
  readonly openings: Opening[];
  readonly stages: EndedStage[];
};

/** A delivery carries many messages, and has a trace of its own by the name of its intent. */
export const deliveryTracking = (intentId: string) => intentId;

/**
 * The way of a message from the request or the log to the final receipt, as its history tells it. `intents` are the events
 * of the transactions that it names, by their ids.
 */
export function messageStages(
  id: string,
  history: readonly Event[],
  intents: ReadonlyMap<string, readonly StoredEvent[]>,
): EndedStage[] {
  const [first] = history;
  if (!first) return [];
  const tracking = messageStream(id);
  const begun = Math.min(first.at.getTime(), seenAt(first) ?? Infinity);
  const { origin, destination } = first.data;
  const lane = laneName({ origin, destination });
  const way: Way = { id, tracking, begun, route: lane, since: begun, openings: [], stages: [] };
  const attributes = {
    "lockstep.message.id": id,
    "lockstep.lane": lane,
    "lockstep.origin": origin,
    "lockstep.destination": destination,
  };
  way.stages.push({ ...instant(tracking, "message", first, attributes), key: rootKey, start: begun, end: begun });
  for (const event of history) addStages(way, event);
  const transactions = transactionStages(tracking, way.openings, intents);
  const later = countedAt(history);
  const ended = way.stages.map((stage) => {
    const at = later.get(stage.position);
    return at === undefined ? stage : { ...stage, countedAt: at };
  });
  return [...ended, ...transactions.map((stage) => ({ ...stage, route: lane }))];
}

/** Whoever looks for jobs passes over some events: what those end is counted with the next event of the message. */
function countedAt(history: readonly Event[]): ReadonlyMap<bigint, bigint> {
  return new Map(
    history.flatMap((event, index): [bigint, bigint][] => {
      const next = history[index + 1];
      return next && isRouteless(event) ? [[event.position, next.position]] : [];
    }),
  );
}

/** Milliseconds of the block of a message that was seen before anything else was known of it. */
const seenAt = (event: Event): number | undefined =>
  event.type === "MessageSent" ? Number(event.data.at) * 1_000 : undefined;

function addStages(way: Way, event: Event): void {
  const at = event.at.getTime();
  switch (event.type) {
    case "MessageSubmitted":
      open(way, event, "message.send", event.data.intentId);
      break;
    case "MessageSent":
      addSent(way, event);
      break;
    case "MessageFinalized":
      add(way, event, "message.finality", { "lockstep.final_height": String(event.data.finalHeight) });
      break;
    case "MessageAttested":
      add(way, event, "message.attest", { "lockstep.epoch": String(event.data.epoch) });
      break;
    case "DeliveryStarted":
      open(way, event, "message.deliver", event.data.intentId, [deliveryTracking(event.data.intentId)]);
      break;
    case "RetryStarted":
      open(way, event, "message.retry", event.data.intentId);
      break;
    default:
      addOutcome(way, event);
  }
  way.since = at;
}

type OutcomeEvent = Exclude<
  Event,
  EventNamed<
    "MessageSubmitted" | "MessageSent" | "MessageFinalized" | "MessageAttested" | "DeliveryStarted" | "RetryStarted"
  >
>;

function addOutcome(way: Way, event: OutcomeEvent): void {
  switch (event.type) {
    case "DeliveryFailed":
    case "RetryFailed":
      close(way, event, { "lockstep.attempt": event.data.attempt }, event.data.code);
      break;
    case "MessageDelivered":
      close(way, event, seen(event));
      break;
    case "MessageFailed":
      close(way, event, seen(event), "execution-failed");
      break;
    case "MessageSkipped":
      close(way, event, seen(event), "lane-realigned");
      break;
    case "DeliveryFinalized":
      add(way, event, "message.confirm", { "lockstep.final_height": String(event.data.finalHeight) });
      addWhole(way, event, event.data.outcome);
      break;
    case "MessageDropped":
      note(way, event, "message.dropped", event.data.code);
      addWhole(way, event, "dropped");
      break;
    case "MessageDeadLettered":
      note(way, event, "message.dead_lettered", event.data.code);
      break;
    case "MessageReorged":
    case "DeliveryReorged":
      note(way, event, "message.reorganised", "reorganised");
      break;
    case "MessageRevived":
      note(way, event, "message.revived");
      break;
    case "MessageAbandoned":
      note(way, event, "message.abandoned");
  }
}

/** What happened at a moment, between the stages: it took no time, so it has no route. */
function note(way: Way, event: Event, name: string, error?: string): void {
  way.stages.push({ ...instant(way.tracking, name, event), ...(error !== undefined && { error }) });
}

/** A message of others begins with its block; one that was asked for is what its transaction brought. */
function addSent(way: Way, event: EventNamed<"MessageSent">): void {
  const facts = {
    ...seen(event),
    "lockstep.nonce": String(event.data.nonce),
    "lockstep.onchain_id": event.data.onchainId,
  };
  if (way.open) close(way, event, facts);
  else add(way, event, "message.index", facts, Math.min(way.since, Number(event.data.at) * 1_000));
}

const seen = ({ data }: { data: { transactionHash: string; blockNumber: bigint } }) => ({
  "lockstep.transaction": data.transactionHash,
  "lockstep.block": String(data.blockNumber),
});

function add(way: Way, event: Event, name: string, attributes: EndedStage["attributes"], start = way.since): void {
  way.stages.push({ ...instant(way.tracking, name, event, attributes), start, route: way.route });
}

function open(way: Way, event: Event, name: string, intentId: string, links: readonly string[] = []): void {
  const opening = { key: `${name}-${event.position}`, at: event.at.getTime(), intentId, links };
  way.openings.push(opening);
  way.open = { ...opening, name };
}

/** What ends without having begun here was brought about by others, or refused before it began. */
function close(way: Way, event: Event, attributes: EndedStage["attributes"], error?: string): void {
  const { open: opened } = way;
  way.open = undefined;
  way.stages.push({
    ...instant(way.tracking, opened?.name ?? "message.deliver", event, attributes),
    start: opened?.at ?? way.since,
    route: way.route,
    ...(opened && { key: opened.key, links: opened.links }),
    ...(error !== undefined && { error }),
  });
}

/** From the beginning to the end: what a search for slow messages finds. */
function addWhole(way: Way, event: Event, outcome: string): void {
  add(way, event, "message.journey", { "lockstep.outcome": outcome }, way.begun);
}
