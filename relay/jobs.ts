import { z } from "zod";
import type { StoredEvent } from "#core/events/store.ts";
import type { Job } from "#core/queue/queue.ts";
import { messageIdOf } from "./events.ts";
import { sendKind } from "./identity.ts";
import { deliverKind, retryKind } from "./intents.ts";
import { laneName } from "./lane.ts";

export const deliverJob = "relay.deliver";
export const settleJob = "relay.settle";

const laneData = z.object({ origin: z.string(), destination: z.string() });
const intentData = z.object({ kind: z.string(), subject: z.string() });

/** Events about a lane as a whole, and intents that ended, ask for a look; events of single messages do not. */
export function jobsOf(event: StoredEvent): Job[] {
  switch (event.type) {
    case "LaneFinalized":
    case "LaneProcessed":
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
  const { kind, subject } = intentData.parse(event.data);
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
