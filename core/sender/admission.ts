import { isLockstepError } from "../kernel/errors.ts";
import { inChunks, type LaneContext, type LaneMemory } from "./context.ts";
import { isLate } from "./flight.ts";
import { type Outcome, saveOutcomes } from "./outcomes.ts";
import { loadQueued, type Queued } from "./rows.ts";

/** Most intents that get their nonces in one transaction. */
const batch = 32;
/** Milliseconds until an intent that could not be judged is looked at again. */
const laterMs = 500;

type Verdict = "ready" | "later" | { readonly reason: "reverts" | "expired"; readonly detail: string };

export type Admission = {
  /** Intents that may be signed now, in order of submission; ends those that must not be sent. */
  next(memory: LaneMemory): Promise<{ ready: Queued[]; more: boolean }>;
  /** Leaves an intent alone for a moment. */
  defer(id: string): void;
  /** True when intents are left alone for the moment. */
  waiting(): boolean;
};

/** Decides about queued intents: too late, refused by a dry-run, not to be judged yet, or ready. */
export function createAdmission(context: LaneContext): Admission {
  const { chain, account, address, clock, log, db, store, settings } = context;
  const deferred = new Map<string, number>();

  async function judge(queued: Queued): Promise<Verdict> {
    const { intent, moved, released } = queued;
    if (!released && isLate(intent, clock.now())) {
      return { reason: "expired", detail: "its time had passed before it was signed" };
    }
    if (!intent.dryRun || moved || "builder" in intent.call) return "ready";
    try {
      await chain.call({ from: address, gas: intent.gas, ...intent.call }, "pending");
      return "ready";
    } catch (error) {
      if (isLockstepError(error, "call-reverted")) return { reason: "reverts", detail: error.message };
      log.warn({ err: error, intent: intent.id }, "dry-run could not be made");
      return "later";
    }
  }

  /** A revert counts only once everything submitted before is in a block: it may be what the call stands on. */
  const standsAlone = (queued: Queued, memory: LaneMemory, ready: readonly Queued[]) =>
    ready.length === 0 &&
    [...memory.flights.values()].every((flight) => flight.included !== undefined || flight.place > queued.place);

  return {
    async next(memory) {
      const pending = [...memory.flights.values()].filter(({ included }) => included === undefined).length;
      const room = Math.min(batch, settings.maxPending - pending);
      if (room <= 0) return { ready: [], more: false };
      for (const [id, until] of deferred) if (until <= clock.now()) deferred.delete(id);
      const queued = await loadQueued(db, { chain: chain.name, account }, room, [...deferred.keys()]);
      const verdicts = await inChunks(queued, judge);
      const ready: Queued[] = [];
      const ended: Outcome[] = [];
      for (const [index, each] of queued.entries()) {
        const verdict = verdicts[index] ?? "later";
        if (verdict === "ready") ready.push(each);
        else if (verdict === "later") deferred.set(each.intent.id, clock.now() + laterMs);
        else if (verdict.reason === "expired" || standsAlone(each, memory, ready)) {
          ended.push({ kind: "abandoned", intent: each.intent, events: each.events, ...verdict });
        } else deferred.set(each.intent.id, clock.now() + settings.pollMs);
      }
      if (ended.length > 0) await db.tx((tx) => saveOutcomes(tx, store, ended));
      return { ready, more: queued.length === room };
    },
    defer: (id) => {
      deferred.set(id, clock.now() + laterMs);
    },
    waiting: () => deferred.size > 0,
  };
}
