import type { StoredEvent } from "#core/events/store.ts";
import type { Job } from "#core/queue/queue.ts";

export const advanceJob = "swap.advance";

/**
 * After these there is something to decide. What the service writes itself right before it acts is not among them, nor
 * what is seen before it is final and only waited for; should that be wrong, the scheduler looks soon.
 */
const decisive: ReadonlySet<string> = new Set([
  ...["SwapRequested", "SecretReceived", "SignatureReceived", "SwapGivenUp", "EarlyRefundAgreed", "RevealWithdrawn"],
  ...["LegLocked", "LegClaimed", "LegClaimFinalized", "LegRefundFinalized", "LegReorged"],
  ...["IntentFinalized", "IntentAbandoned"],
]);

/** Events of a swap, and of the intents it waits for, ask for one look at it. */
export function advanceJobs(event: StoredEvent): Job[] {
  if (!decisive.has(event.type)) return [];
  const stream = event.stream.startsWith("intent-") ? awaitedBy(event) : event.stream;
  if (!stream?.startsWith("swap-")) return [];
  const swap = stream.slice("swap-".length);
  return [{ id: `${advanceJob}-${swap}-${event.position}`, name: advanceJob, data: { swap } }];
}

/** The stream that waits for an intent. The effect of one that succeeded shows by itself, unless it is an allowance. */
function awaitedBy({ data }: StoredEvent): string | undefined {
  if (typeof data !== "object" || data === null || !("subject" in data) || !("kind" in data)) return undefined;
  const { subject, kind } = data;
  const shows = "status" in data && data.status === "success" && !String(kind).startsWith("swap.approve-");
  return typeof subject === "string" && !shows ? subject : undefined;
}
