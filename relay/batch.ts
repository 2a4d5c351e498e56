import type { Deferral } from "./deferral.ts";
import type { DeliveryWriter } from "./delivery.ts";
import type { DeliveryOutcomes } from "./deliveryOutcomes.ts";
import type { DriverDeps } from "./driverDeps.ts";
import type { Base, Revert } from "./dryRun.ts";
import type { Economics } from "./economics.ts";
import { messageStream } from "./events.ts";
import type { LaneEnds } from "./lane.ts";
import { createNarrowing } from "./narrowing.ts";
import type { OpenMessage } from "./openMessage.ts";
import { planBatch } from "./planner.ts";
import type { SetCheck } from "./setCheck.ts";
import type { Waits } from "./waits.ts";

type Request = {
  readonly lane: LaneEnds;
  readonly generation: number;
  /** Final messages that follow each other and are not on their way. */
  readonly candidates: readonly OpenMessage[];
  /** Messages that the destination takes; undefined for any number. */
  readonly available: bigint | undefined;
  /** Where the lane will stand, while deliveries before these are on their way. */
  readonly base: Base | undefined;
};

/** `more`: sent, and others can follow at once; `again`: something else was done, look again. */
type Answer = "more" | "sent" | "again" | "waits" | "no-quorum";

/** Sets the next batch of a lane on its way, or notes why not. */
export type NextBatch = (request: Request) => Promise<Answer>;

type Deps = DriverDeps & {
  waits: Waits;
  setCheck: SetCheck;
  outcomes: DeliveryOutcomes;
  delivery: DeliveryWriter;
  deferral: Deferral;
  economics: Economics;
};

/** Attempts after which a message that cannot be delivered is deferred, where an account may do that. */
const attemptsBeforeDeferral = 3;

export function createNextBatch(deps: Deps): NextBatch {
  const { book, policy, waits, setCheck, delivery, deferral, tracer } = deps;
  const narrow = createNarrowing(deps);

  /** The candidates up to the first one that policy refuses and that is not deferred yet; undefined: none is left. */
  async function allowed({ lane, candidates }: Request): Promise<readonly OpenMessage[] | undefined> {
    if (!policy.deniesMessages) return candidates;
    const near = candidates.slice(0, deps.maxBatch);
    const contents = await delivery.contents(near);
    const denialOf = (row: OpenMessage) => {
      const content = contents.get(row.id);
      return content && policy.denial(content);
    };
    const denied = near.filter((row) => denialOf(row) !== undefined);
    const missing = denied.length > 0 ? await deferral.missing(lane, denied) : [];
    const [obstacle] = missing;
    if (!obstacle) return near;
    if (policy.operatorAccount !== undefined) await deferral.ask(lane, missing, policy.operatorAccount);
    const before = near.slice(0, near.indexOf(obstacle));
    if (before.length > 0) return before;
    if (policy.operatorAccount === undefined) {
      const detail = `message ${obstacle.nonce} (${obstacle.id}) is denied: ${denialOf(obstacle)}`;
      await waits.note(lane, "message-denied", detail);
    }
    return undefined;
  }

  async function next(request: Request): Promise<Answer> {
    const { lane, generation } = request;
    const { epochs, problem } = await setCheck.usable(lane, (await book.read()).valid(lane));
    if (problem) {
      await waits.note(lane, "validator-set-mismatch", problem);
      return "waits";
    }
    const candidates = await allowed(request);
    if (!candidates) return "waits";
    const failures = candidates[0] ? await deps.outcomes.misses(candidates[0]) : 0;
    const validators = Math.max(...epochs.map(({ set }) => set.validators.length));
    const limits = { maxBatch: deps.maxBatch, validators, available: request.available, failures };
    const count = planBatch(candidates, limits);
    const planned = candidates.slice(0, count);
    if (!planned[0]) return "waits";
    const wanted = {
      ...{ lane, generation, epochs },
      planned: [planned[0], ...planned.slice(1)] as const,
      behind: candidates.slice(count),
    };
    const [found, contents] = await Promise.all([deps.authorities[lane.delivery](wanted), delivery.contents(planned)]);
    if ("missing" in found) {
      await waits.note(lane, found.missing.code, found.missing.detail);
      return found.missing.code === "awaiting-quorum" ? "no-quorum" : "waits";
    }
    const { authority } = found;
    const batch = planned.filter(({ nonce }) => nonce <= authority.nonce);
    const poor = await deps.economics(lane, batch);
    if (poor) {
      await waits.note(lane, poor.code, poor.detail);
      return "waits";
    }
    const tried = await narrow({ lane, generation, batch, contents, authority }, request.base);
    if ("revert" in tried) return refused(request, batch, { revert: tried.revert, failures: failures + 1 });
    await delivery.start({ ...tried.planned, intent: tried.intent });
    return candidates.length > tried.planned.batch.length ? "more" : "sent";
  }

  /** Nothing can be sent: the lane as a whole waits, or its first message is at fault. */
  async function refused(
    { lane, base }: Request,
    batch: readonly OpenMessage[],
    { revert, failures }: { readonly revert: Revert; readonly failures: number },
  ): Promise<Answer> {
    setCheck.forget(lane);
    // What is on its way may be what it stands on: its end wakes the lane.
    if (base) return "waits";
    if (revert.lane) {
      await waits.note(lane, revert.lane, revert.detail);
      return "waits";
    }
    const [first] = batch;
    if (!first) return "waits";
    await deps.outcomes.fail(lane, [first], { code: "dry-run-reverts", detail: revert.detail });
    if (policy.operatorAccount !== undefined && failures >= attemptsBeforeDeferral) {
      const [missing] = await deferral.missing(lane, [first]);
      if (missing) await deferral.ask(lane, [missing], policy.operatorAccount);
    }
    return "again";
  }

  return async (request) => {
    const [first] = request.candidates;
    if (!first) return "waits";
    // What is done for all of a batch shows in the trace of its first message.
    return tracer.scope(messageStream(first.id), "message.batch", () => next(request));
  };
}
