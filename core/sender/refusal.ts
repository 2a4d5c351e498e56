import { isLockstepError } from "../kernel/errors.ts";
import type { LaneContext, LaneMemory } from "./context.ts";
import type { Flight } from "./flight.ts";
import { forgetSent, forgetTimes, keep } from "./memory.ts";
import { isNoted } from "./release.ts";
import { saveReleased } from "./rows.ts";

/** Whether transactions with higher nonces may follow. */
export type Sent = "go on" | "stop";

/**
 * What follows when a node does not take a transaction. The receipts decide what happened; here it is only told whether to
 * send this one again, and those after it.
 */
export function createRefusal(context: LaneContext) {
  const { db, guards, clock, log, about, waits } = context;

  /** Others must not wait for ever for a transaction that no node wants; a secret one is never given up. */
  async function declined(memory: LaneMemory, flight: Flight, detail: string): Promise<void> {
    const { intent, nonce } = flight;
    waits.note(intent.id, { code: "transaction-refused", detail });
    const mayLeave = !("builder" in intent.call) && !flight.accepted;
    if (mayLeave && isNoted(guards, intent)) await saveReleased(db, [intent.id], false);
    const now = clock.now();
    const since = flight.declined?.since ?? now;
    const released = flight.released && !mayLeave;
    keep(memory, { ...flight, sent: undefined, released, declined: { since, at: now, detail } });
    if (since === now) log.error({ ...about(intent), kind: intent.kind, nonce }, "nodes refuse a transaction");
  }

  /** No endpoint has the call and none will as long as the account is short: its nonce may be voided for others. */
  async function unpaid(memory: LaneMemory, flight: Flight): Promise<void> {
    const { intent, nonce, voiding } = flight;
    if (voiding !== undefined) return;
    waits.note(intent.id, { code: "balance-insufficient", detail: "the account cannot pay it now" });
    const since = flight.unpaid?.since ?? clock.now();
    const hasSecret = "builder" in intent.call;
    if (hasSecret) log.error({ ...about(intent), nonce }, "account cannot pay a call that must not be given up");
    else if (isNoted(guards, intent)) await saveReleased(db, [intent.id], false);
    keep(memory, { ...flight, sent: undefined, unpaid: { since }, released: hasSecret });
  }

  return async function refused(memory: LaneMemory, flight: Flight, error: unknown): Promise<Sent> {
    const reason = isLockstepError(error, "transaction-refused") ? error.details.reason : undefined;
    log.warn({ err: error, ...about(flight.intent), nonce: flight.nonce }, "transaction not taken");
    if (reason === "underpriced") return "go on";
    keep(memory, { ...flight, sent: undefined });
    forgetTimes(memory, flight.nonce);
    if (reason === "insufficient-funds") await unpaid(memory, flight);
    if (reason === "nonce-too-low") return "go on";
    // What came before was taken and lost again.
    if (reason === "nonce-too-high") forgetSent(memory, flight.nonce);
    if (reason === "other") await declined(memory, flight, error instanceof Error ? error.message : "");
    return "stop";
  };
}
