import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type Attempts, evolveAttempts, isDeferral, noAttempts } from "./attempts.ts";
import { type MessageEvent, messageIdOf } from "./events.ts";
import { evolveProgress, type Progress } from "./progress.ts";
import type { Message as WireMessage } from "./protocol/message.ts";
import type { ReasonCode } from "./reasons.ts";

/** What was asked for through the API. */
type MessageRequested = Extract<MessageEvent, { type: "MessageSubmitted" }>["data"];

export type Failure = { readonly code: string; readonly detail: string };

export type Message = {
  readonly id: string;
  readonly version: number;
  readonly createdAt: Date;
  readonly progress: Progress;
  readonly attempts: Attempts;
  readonly requested?: MessageRequested;
  /** What a delivery brings, as the origin's logs have it. */
  readonly content?: WireMessage;
  /** Why the last attempt of the service (send, delivery or retry) had no effect. */
  readonly failure?: Failure;
  /** What the recipient's failed execution answered: an ABI-encoded error. */
  readonly reason?: Hex;
  /** The lane was realigned past it, perhaps after it had failed. */
  readonly skipped?: { readonly generation: bigint; readonly retryable: boolean } | undefined;
};

/** True when no retry can succeed any more: it is of a generation before its lane's, and governance did not name it. */
export const neverRuns = ({ skipped, progress }: Pick<Message, "skipped" | "progress">): boolean =>
  skipped?.retryable === false && progress.failed !== undefined;

/** Why a message that failed at its destination is where it is. */
export function codeOfFailed({ skipped, progress, attempts, reason }: Message): ReasonCode {
  if (neverRuns({ skipped, progress })) return "lane-realigned";
  if (attempts.abandoned) return "abandoned";
  if (attempts.dead) return "dead-lettered";
  if (reason === undefined) return skipped ? "lane-realigned" : "execution-failed";
  return isDeferral(reason) ? "deferred" : "execution-failed";
}

/** The message after its events; undefined before the first. */
export function foldMessage(events: readonly StoredEvent<MessageEvent>[]): Message | undefined {
  return events.reduce<Message | undefined>(evolve, undefined);
}

function evolve(message: Message | undefined, event: StoredEvent<MessageEvent>): Message {
  const id = messageIdOf(event.stream);
  if (id === undefined) throw new Error(`stream ${event.stream} is not that of a message`);
  const progress = evolveProgress(message?.progress, event);
  const before = message ?? { id, createdAt: event.at };
  const attempts = evolveAttempts(message?.attempts ?? noAttempts, event);
  return { ...before, ...learned(before, event), version: event.version, progress, attempts };
}

/** What an event adds to the parts that only people and retries need. */
function learned(before: Partial<Message>, event: MessageEvent): Partial<Message> {
  switch (event.type) {
    case "MessageSubmitted":
      return { requested: event.data };
    case "MessageSent": {
      const { sender, recipient, gasLimit, attributesHash, payload } = event.data;
      return { content: { sender, recipient, gasLimit, attributesHash, payload } };
    }
    case "MessageDropped":
    case "DeliveryFailed":
    case "RetryFailed":
      return { failure: { code: event.data.code, detail: event.data.detail } };
    case "MessageFailed":
      return { reason: event.data.reason, skipped: undefined };
    case "MessageSkipped": {
      const { generation, retryable } = event.data;
      return { skipped: { generation, retryable } };
    }
    default:
      return before;
  }
}
