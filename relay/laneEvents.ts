import { z } from "zod";
import type { EventOf, StoredEvent } from "#core/events/store.ts";
import { hash, uint } from "#core/kernel/codec.ts";
import { type MessageEvent, messageEvents } from "./events.ts";
import { type Lane, laneName } from "./lane.ts";

/** Names in this file are stored for ever: add, never rename. */
const run = { origin: z.string(), destination: z.string(), firstNonce: uint, lastNonce: uint };

/**
 * What happened to messages of a lane that follow each other, all at once: one event however many they are. Each stands
 * for the same event of every message in the run (`impliedEvents`), so a message has one history in two spellings.
 */
export const laneEvents = {
  MessagesFinalized: z.object({ ...run, finalHeight: uint }),
  /** Attested up to `checkpointNonce` and on their way in the transaction of one intent. */
  DeliveriesStarted: z.object({
    ...run,
    checkpointNonce: uint,
    epoch: uint,
    intentId: z.string(),
    attempt: z.number().int().positive(),
  }),
  /**
   * Executed at the destination in one transaction, each for the first time. `accumulator` is the lane's at the last of
   * them and says which messages they are, whatever the origin has at these nonces later.
   */
  MessagesDelivered: z.object({
    ...run,
    accumulator: hash.optional(),
    ...{ transactionHash: hash, blockNumber: uint, blockHash: hash, at: uint },
  }),
  DeliveriesFinalized: z.object({ ...run, finalHeight: uint }),
} as const;

/** Everything that the relay stores. */
export const relayEvents = { ...messageEvents, ...laneEvents } as const;

export type LaneEvent = EventOf<typeof laneEvents>;

/** Messages that follow each other in a lane, both ends included. */
export type Run = Lane & { readonly firstNonce: bigint; readonly lastNonce: bigint };

/** Who learns it: each side of a lane writes a stream of its own, so that none meets another. */
type Side = "origin" | "delivery" | "destination";

export const laneStream = (lane: Lane, side: Side): string => `lane-${laneName(lane)}-${side}`;

const types = new Set(Object.keys(laneEvents));
export const isLaneEvent = (event: StoredEvent): event is StoredEvent<LaneEvent> => types.has(event.type);

/** What an event of a run says about each message in it. */
export function impliedEvents({ type, data }: LaneEvent): MessageEvent[] {
  const { origin, destination } = data;
  const lane = { origin, destination };
  switch (type) {
    case "MessagesFinalized":
      return [{ type: "MessageFinalized", data: { ...lane, finalHeight: data.finalHeight, newest: false } }];
    case "DeliveriesStarted": {
      const { checkpointNonce, epoch, intentId, attempt, firstNonce, lastNonce } = data;
      return [
        { type: "MessageAttested", data: { ...lane, checkpointNonce, epoch } },
        { type: "DeliveryStarted", data: { ...lane, intentId, attempt, firstNonce, lastNonce } },
      ];
    }
    case "MessagesDelivered": {
      const { transactionHash, blockNumber, blockHash, at } = data;
      return [{ type: "MessageDelivered", data: { ...lane, transactionHash, blockNumber, blockHash, at } }];
    }
    case "DeliveriesFinalized":
      return [{ type: "DeliveryFinalized", data: { ...lane, outcome: "delivered", finalHeight: data.finalHeight } }];
  }
}
