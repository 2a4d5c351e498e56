import type { StoredEvent } from "#core/events/store.ts";
import type { Job } from "#core/queue/queue.ts";

export const advanceJob = "swap.advance";
export const advanceBatchJob = "swap.advance-batch";

/**
 * After these there is something to decide. What the service writes itself right before it acts is not among them, nor
 * what is seen before it is final and only waited for; should that be wrong, the scheduler looks soon.
 */
const decisive: ReadonlySet<string> = new Set([
  ...["SwapRequested", "SecretReceived", "SignatureReceived", "SwapGivenUp", "EarlyRefundAgreed", "RevealWithdrawn"],
  "SwapApproved",
  ...["LegLocked", "LegClaimed", "LegClaimFinalized", "LegRefundFinalized", "LegReorged"],
  ...["IntentFinalized", "IntentAbandoned"],
]);

/** Events of a swap, and of the intents it waits for, ask for one look at it. */
export function advanceJobs(event: StoredEvent): Job[] {
  if (!decisive.has(event.type)) return [];
  const stream = event.stream.startsWith("intent-") ? awaitedBy(event) : event.stream;
  const id = `${advanceJob}-${stream}-${event.position}`;
  if (stream?.startsWith("swap-")) {
    return [{ id, name: advanceJob, data: { swap: stream.slice("swap-".length) } }];
  }
  if (!stream?.startsWith("swapbatch-")) return [];
  const mined = event.type === "IntentFinalized" && hasSucceeded(event);
  return [{ id, name: advanceBatchJob, data: { batch: stream, ...(mined && { mined }) } }];
}

/**
 * The stream that waits for an intent. The effect of one that succeeded shows by itself, unless it is an allowance, or a
 * batch of claims or refunds of which one may have been left out.
 */
function awaitedBy({ data }: StoredEvent): string | undefined {
  if (typeof data !== "object" || data === null || !("subject" in data) || !("kind" in data)) return undefined;
  const { subject, kind } = data;
  const silent = /^swap\.(approve-|(claim-source|refund-source|refund-target)-batch$)/.test(String(kind));
  return typeof subject === "string" && (silent || !hasSucceeded({ data })) ? subject : undefined;
}

const hasSucceeded = ({ data }: Pick<StoredEvent, "data">): boolean =>
  typeof data === "object" && data !== null && "status" in data && data.status === "success";
