import { z } from "zod";
import type { StoredEvent } from "#core/events/store.ts";
import type { Job } from "#core/queue/queue.ts";
import { type MessageEvent, messageIdOf } from "./events.ts";
import { sendKind } from "./identity.ts";
import { deliverKind, headerKind, retryKind } from "./intents.ts";
import { laneName } from "./lane.ts";

export const deliverJob = "relay.deliver";
export const settleJob = "relay.settle";

const finalizedData = z.object({ origin: z.string(), destination: z.string(), newest: z.boolean() });
const laneData = z.object({ origin: z.string(), destination: z.string() });
const intentData = z.object({ kind: z.string(), subject: z.string(), status: z.string().optional() });

/** The one event that every message has, and that asks for nothing: whoever looks for jobs need not read it. */
export const routeless = ["MessageSent"] as const satisfies readonly MessageEvent["type"][];
const passedOver: ReadonlySet<string> = new Set(routeless);
export const isRouteless = ({ type }: Pick<StoredEvent, "type">): boolean => passedOver.has(type);

/**
 * Messages that became final (the newest of many asks for all of them), headers that arrived, deliveries that were
 * reorganised out, and intents that ended without effect ask for a look. What else goes well asks for nothing.
 */
export function jobsOf(event: StoredEvent): Job[] {
  switch (event.type) {
    case "MessageFinalized": {
      const lane = finalizedData.parse(event.data);
      return lane.newest ? [deliver(laneName(lane), event)] : [];
    }
    case "MessagesFinalized":
    case "DeliveryReorged":
      return [deliver(laneName(laneData.parse(event.data)), event)];
    case "IntentAbandoned":
    case "IntentFinalized":
    case "IntentIncluded":
      return jobsOfIntent(event);
    default:
      return [];
  }
}

function jobsOfIntent(event: StoredEvent): Job[] {
  const { kind, subject, status } = intentData.parse(event.data);
  // A header that has arrived is what its lane waits for; one that never will is seen when the lane's next look is due.
  if (kind === headerKind) return status === "success" ? [deliver(subject.slice("lane-".length), event)] : [];
  if (status === "success") return [];
  if (kind === deliverKind) return [deliver(subject.slice("lane-".length), event)];
  const message = kind === sendKind || kind === retryKind ? messageIdOf(subject) : undefined;
  if (message === undefined || event.type === "IntentIncluded") return [];
  const intent = event.stream.slice("intent-".length);
  return [{ id: `${settleJob}-${event.position}`, name: settleJob, data: { message, intent } }];
}

const deliver = (lane: string, { position }: StoredEvent): Job => ({
  id: `${deliverJob}-${position}`,
  name: deliverJob,
  data: { lane },
});
