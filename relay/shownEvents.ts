import { only, type ShownKind } from "#core/events/shown.ts";
import { messageEvents, messageStream } from "./events.ts";
import { type Lane, laneName } from "./lane.ts";
import { laneEvents } from "./laneEvents.ts";

const lane = ["origin", "destination"] as const;
const seen = ["transactionHash", "blockNumber", "blockHash", "at"] as const;
const run = [...lane, "firstNonce", "lastNonce"] as const;
const m = messageEvents;
const l = laneEvents;

/** What is shown of a message's events. Every field is public on its chains or part of the message's own view. */
const shownMessageEvents = {
  MessageSubmitted: only(m.MessageSubmitted, ...lane, "account", "sender", "recipient", "payload", "gasLimit"),
  MessageSent: only(
    m.MessageSent,
    ...lane,
    ...seen,
    ...(["nonce", "onchainId", "sender", "recipient", "gasLimit", "attributesHash", "payload", "fee"] as const),
  ),
  MessageReorged: only(m.MessageReorged, ...lane, "ancestor"),
  MessageDropped: only(m.MessageDropped, ...lane, "code", "detail"),
  MessageFinalized: only(m.MessageFinalized, ...lane, "finalHeight"),
  MessageAttested: only(m.MessageAttested, ...lane, "checkpointNonce", "epoch"),
  DeliveryStarted: only(m.DeliveryStarted, ...lane, "attempt", "firstNonce", "lastNonce"),
  DeliveryFailed: only(m.DeliveryFailed, ...lane, "attempt", "code", "detail", "retryAt"),
  MessageDelivered: only(m.MessageDelivered, ...lane, ...seen),
  MessageFailed: only(m.MessageFailed, ...lane, ...seen, "reason"),
  MessageSkipped: only(m.MessageSkipped, ...lane, ...seen, "generation", "retryable"),
  DeliveryFinalized: only(m.DeliveryFinalized, ...lane, "outcome", "finalHeight"),
  DeliveryReorged: only(m.DeliveryReorged, ...lane, "undone", "ancestor"),
  RetryStarted: only(m.RetryStarted, ...lane, "attempt"),
  RetryFailed: only(m.RetryFailed, ...lane, "attempt", "code", "detail", "retryAt"),
  MessageDeadLettered: only(m.MessageDeadLettered, ...lane, "code", "detail", "attempts"),
  MessageRevived: only(m.MessageRevived, ...lane, "retryAt"),
  MessageAbandoned: only(m.MessageAbandoned, ...lane),
} as const;

/** What is shown of what happened to messages that follow each other, all at once. */
const shownLaneEvents = {
  MessagesFinalized: only(l.MessagesFinalized, ...run, "finalHeight"),
  DeliveriesStarted: only(l.DeliveriesStarted, ...run, "checkpointNonce", "epoch", "attempt"),
  MessagesDelivered: only(l.MessagesDelivered, ...run, ...seen),
  DeliveriesFinalized: only(l.DeliveriesFinalized, ...run, "finalHeight"),
} as const;

const aboutLane = (_type: string, data: unknown) => {
  // Every event of the relay says its lane; the schemas above see to it.
  const { origin, destination } = data as Lane;
  return { chains: [origin, destination], lane: laneName({ origin, destination }) };
};

export const shownRelayKinds: readonly ShownKind[] = [
  {
    kind: "message",
    types: shownMessageEvents,
    subjectOf: (stream) => stream.slice(messageStream("").length),
    about: aboutLane,
  },
  {
    kind: "lane",
    types: shownLaneEvents,
    subjectOf: (stream) => stream.replace(/^lane-/, "").replace(/-(origin|delivery|destination)$/, ""),
    about: aboutLane,
  },
];
