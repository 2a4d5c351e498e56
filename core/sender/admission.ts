import type { FeeEstimate } from "../chain/chain.ts";
import { isLockstepError } from "../kernel/errors.ts";
import { boundsOf } from "./bounds.ts";
import { inChunks, type LaneContext, type LaneMemory } from "./context.ts";
import { firstFees, isTooDear } from "./fees.ts";
import { isTooLateToSign } from "./flight.ts";
import { type Outcome, saveOutcomes } from "./outcomes.ts";
import { costOf, type Purse } from "./purse.ts";
import { loadQueued, type Queued } from "./rows.ts";

/** Most intents that get their nonces in one transaction. */
const batch = 32;
/** Milliseconds until an intent that could not be judged is looked at again. */
const laterMs = 500;
/** Most milliseconds until an intent that the account cannot pay is looked at again. */
const shortMs = 5_000;

type Verdict =
  | "ready"
  | "later"
  | "dear"
  | "short"
  | { readonly reason: "reverts" | "expired"; readonly detail: string };

export type Admitted = {
  /** Intents that may be signed now, in order of submission. */
  readonly ready: readonly Queued[];
  /** What they are priced with. */
  readonly fresh: FeeEstimate;
  /** Wei that the account has besides. */
  readonly left: bigint;
};

export type Admission = {
  /** Takes what may be signed now and ends what must not be sent. `more`: others wait to be looked at. */
  next(memory: LaneMemory): Promise<{ admitted: Admitted | undefined; more: boolean }>;
  /** Leaves an intent alone for a moment, half a second unless told, and with it what waits for it in its line. */
  defer(id: string, ms?: number, line?: string): void;
  /** Leaves an intent alone for a moment because the account cannot pay it. */
  lacks(queued: Queued): void;
  /** True when one that was left alone has to be looked at again. */
  waiting(): boolean;
};

/** Decides about queued intents: too late, refused by a dry-run, not to be judged or paid yet, or ready. */
export function createAdmission(
  context: LaneContext,
  deps: { purse: Purse; freshFees: () => Promise<FeeEstimate> },
): Admission {
  const { chain, account, address, clock, log, about, db, store, settings, waits } = context;
  const deferred = new Map<string, { readonly until: number; readonly unpaidPlace?: bigint; readonly line?: string }>();
  /** How often in a row the account could not pay an intent. */
  const shortages = new Map<string, number>();

  const ceilingOf = ({ intent }: Queued) => boundsOf(intent, settings, clock.now()).ceiling;

  const defer = (id: string, ms = laterMs, line?: string) => {
    deferred.set(id, { until: clock.now() + ms, ...(line !== undefined && { line }) });
  };

  function lacks(queued: Queued): void {
    const { intent, place } = queued;
    waits.note(intent.id, { code: "balance-insufficient", detail: "the account cannot pay it now" });
    const times = shortages.get(intent.id) ?? 0;
    shortages.set(intent.id, times + 1);
    if (times === 0) log.error({ ...about(intent), kind: intent.kind }, "account cannot pay an intent, it waits");
    const until = clock.now() + Math.min(laterMs * 2 ** times, shortMs);
    // Not longer than until it expires.
    const late = [intent.notAfter, intent.signBy].flatMap((last) =>
      last === undefined ? [] : (Number(last) + 1) * 1_000,
    );
    const next = Math.min(until, ...late.filter((at) => at > clock.now()));
    const line = lineOf(queued);
    deferred.set(intent.id, { until: next, unpaidPlace: place, ...(line !== undefined && { line }) });
  }

  async function judge(queued: Queued, fresh: FeeEstimate, isPayable: boolean): Promise<Verdict> {
    const { intent, moved, released } = queued;
    if (!released && isTooLateToSign(intent, clock.now())) {
      const detail = shortages.has(intent.id)
        ? "its time passed while the balance of the account was too short for it"
        : "its time had passed before it was signed";
      return { reason: "expired", detail };
    }
    if (settings.holds(intent.kind)) {
      waits.note(intent.id, { code: "chain-paused", detail: `the chain ${chain.name} is paused` });
      return "later";
    }
    if (isTooDear(fresh, ceilingOf(queued))) return "dear";
    if (!isPayable) return "short";
    if (!intent.dryRun || moved || "builder" in intent.call) return "ready";
    try {
      await chain.call({ from: address, gas: intent.gas, ...intent.call }, "pending");
      return "ready";
    } catch (error) {
      if (isLockstepError(error, "call-reverted")) return { reason: "reverts", detail: error.message };
      log.warn({ err: error, ...about(intent) }, "dry-run could not be made");
      const reason = isLockstepError(error) ? error.code : "it failed";
      waits.note(intent.id, { code: "dry-run-undecided", detail: `its dry-run could not be made: ${reason}` });
      return "later";
    }
  }

  /** Without a nonce it stands in nobody's way. */
  function tooDear(queued: Queued): void {
    const { id, kind } = queued.intent;
    const detail = `the next block asks more than ${ceilingOf(queued)} wei a gas, the most that ${kind} offers`;
    waits.note(id, { code: "gas-price-too-high", detail });
    defer(id, laterMs, lineOf(queued));
  }

  /** A revert counts only once everything submitted before is in a block: it may be what the call stands on. */
  const standsAlone = (queued: Queued, memory: LaneMemory, ready: readonly Queued[]) =>
    ready.length === 0 &&
    [...memory.flights.values()].every((flight) => flight.included !== undefined || flight.place > queued.place) &&
    [...deferred.values()].every(({ unpaidPlace }) => unpaidPlace === undefined || unpaidPlace > queued.place);

  /** Leaves alone or ends what is not ready. */
  async function settle(memory: LaneMemory, queued: readonly Queued[], verdicts: readonly Verdict[]) {
    const ready: Queued[] = [];
    const ended: Outcome[] = [];
    for (const [index, each] of queued.entries()) {
      const verdict = verdicts[index] ?? "later";
      if (verdict === "ready") ready.push(each);
      else if (verdict === "later") defer(each.intent.id, laterMs, lineOf(each));
      else if (verdict === "dear") tooDear(each);
      else if (verdict === "short") lacks(each);
      else if (verdict.reason === "expired" || standsAlone(each, memory, ready)) {
        shortages.delete(each.intent.id);
        ended.push({ kind: "abandoned", intent: each.intent, events: each.events, ...verdict });
      } else defer(each.intent.id, settings.pollMs, lineOf(each));
    }
    if (ended.length > 0) await db.tx((tx) => saveOutcomes(tx, store, ended));
    return ready;
  }

  const heldLines = () => new Set([...deferred.values()].flatMap(({ line }) => line ?? []));

  return {
    async next(memory) {
      const pending = [...memory.flights.values()].filter(({ included }) => included === undefined).length;
      const room = Math.min(batch, settings.maxPending - pending);
      if (room <= 0) return { admitted: undefined, more: false };
      for (const [id, { until }] of deferred) if (until <= clock.now()) deferred.delete(id);
      const except = { ids: [...deferred.keys()], lines: [...heldLines()] };
      const queued = await loadQueued(db, { chain: chain.name, account }, room, except);
      if (queued.length === 0) return { admitted: undefined, more: false };
      const [fresh, free] = await Promise.all([deps.freshFees(), deps.purse.free(memory)]);
      const cost = (each: Queued) => costOf(each.intent, firstFees(fresh, ceilingOf(each)));
      const verdicts = await inChunks(queued, (each) => judge(each, fresh, cost(each) <= free));
      const { paid, unpaid, left } = share(await settle(memory, queued, verdicts), cost, free);
      for (const each of unpaid) lacks(each);
      for (const { intent } of paid) shortages.delete(intent.id);
      if (queued.some(({ intent, pooled }) => pooled && shortages.has(intent.id))) await context.relieve();
      const held = heldLines();
      const ready = paid.filter((each) => !held.has(lineOf(each) ?? ""));
      return { admitted: ready.length > 0 ? { ready, fresh, left } : undefined, more: queued.length === room };
    },
    defer,
    lacks,
    waiting: () => [...deferred.values()].some(({ until }) => until <= clock.now()),
  };
}

/** What was asked of a pool may stand on what was asked before for the same subject, and never overtakes it. */
export const lineOf = ({ intent, pooled }: Queued): string | undefined => (pooled ? intent.subject : undefined);

/**
 * Who is paid from what there is, in order of submission; what may never be given up (a claim) before what may expire.
 * Whoever it is not enough for stands in nobody's way.
 */
export function share(
  ready: readonly Queued[],
  cost: (queued: Queued) => bigint,
  free: bigint,
): { paid: Queued[]; unpaid: Queued[]; left: bigint } {
  const chosen = new Set<Queued>();
  let left = free;
  const [lasting, expiring] = [ready.filter(isLasting), ready.filter((each) => !isLasting(each))];
  for (const each of [...lasting, ...expiring]) {
    if (cost(each) > left) continue;
    chosen.add(each);
    left -= cost(each);
  }
  return { paid: ready.filter((each) => chosen.has(each)), unpaid: ready.filter((each) => !chosen.has(each)), left };
}

const isLasting = ({ intent }: Queued) => intent.notAfter === undefined;
