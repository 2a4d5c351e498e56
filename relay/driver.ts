import { isLockstepError } from "#core/kernel/errors.ts";
import { createNextBatch } from "./batch.ts";
import { createDeferral } from "./deferral.ts";
import { createDeliveryWriter } from "./delivery.ts";
import { createDeliveryOutcomes } from "./deliveryOutcomes.ts";
import { createDestinationBook, type Destination, readDestination } from "./destination.ts";
import type { DriverDeps } from "./driverDeps.ts";
import type { Base } from "./dryRun.ts";
import { createEconomics } from "./economics.ts";
import { ahead, type Flight, flightsOf } from "./flights.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { type OpenMessage, withPlace } from "./openMessage.ts";
import { consecutive } from "./planner.ts";
import { never } from "./progress.ts";
import { availableAt, refilledAt } from "./protocol/laneWord.ts";
import { waitingRows } from "./readModel.ts";
import { createSetCheck } from "./setCheck.ts";
import { createWaits } from "./waits.ts";

/** Delivers a lane's messages. One look at a time per lane; see `createLaneRunner`. */
export type LaneDriver = {
  /** Takes the one next step that the chain and the quorum allow; true when another may follow at once. */
  step(lane: LaneEnds): Promise<boolean>;
  /** A validator has said something about the lane. True when the lane waits for that and wants a look. */
  heard(lane: LaneEnds): boolean;
  /** Another process may have delivered the lane meanwhile: what was remembered of it counts no more. */
  forget(lane: LaneEnds): void;
};

/** Deliveries of one lane that may be on their way at once. */
const maxInFlight = 4;
/** Messages that are looked at behind what fits into one delivery. */
const mostLater = 256;

/** A destination that does not answer, or not usefully: the lane waits, and no other does. */
const endpointErrors = [
  "chain-unreachable",
  "chain-answer-invalid",
  "chain-request-refused",
  "chain-no-agreement",
] as const;

export function createLaneDriver(deps: DriverDeps): LaneDriver {
  const { db, store, clock, policy, log } = deps;
  const waits = createWaits(deps);
  const setCheck = createSetCheck(deps);
  const outcomes = createDeliveryOutcomes(deps);
  const delivery = createDeliveryWriter(deps);
  const deferral = createDeferral({ ...deps, waits });
  const economics = createEconomics({ db, store, policy });
  const nextBatch = createNextBatch({ ...deps, waits, setCheck, outcomes, delivery, deferral, economics });
  const destinations = createDestinationBook();
  /** How often validators were heard about a lane, and at which count it began to wait for more. */
  const heardOf = new Map<string, number>();
  const waitingSince = new Map<string, number>();
  /** Lanes whose destination did not answer the last time. */
  const down = new Set<string>();

  async function look(lane: LaneEnds): Promise<boolean> {
    const name = laneName(lane);
    const heardBefore = heardOf.get(name) ?? 0;
    const destination = await readDestination(lane);
    if (down.delete(name)) await waits.clear(db, lane);
    await destinations.save(db, lane, destination);
    // From the head on: messages below it that still wait for their outcome's log must not fill the batch.
    const flights = await flightsOf(db, lane, destination.nonce);
    if (!(await outcomes.settle(lane, flights, destination.nonce))) {
      setCheck.forget(lane);
      return true;
    }
    if (flights.length >= maxInFlight || isHeld(lane)) return false;
    const rows = await waitingRows(db, lane, destination.nonce, deps.maxBatch + mostLater);
    const [first, ...others] = rows.flatMap(withPlace);
    const before = first && ahead(flights, destination.nonce, first.nonce);
    if (!first || !before || (await mustWait(lane, destination, first))) return false;
    const run = consecutive([first, ...others], first.nonce);
    const candidates = takeWhile(run, (row) => row.progress.sent?.final === true);
    if (candidates.length === 0) return false;
    const room = await roomFor(lane, destination, first.nonce - destination.nonce - 1n);
    if (room === 0n) return false;
    const answer = await nextBatch({
      ...{ lane, candidates, generation: destination.generation, available: room },
      base: baseOf(destination, before.last),
    });
    if (answer === "more" || answer === "sent") waitingSince.delete(name);
    if (answer !== "no-quorum") return answer === "more" || answer === "again";
    // What was said during this look was not looked at.
    if ((heardOf.get(name) ?? 0) !== heardBefore) return true;
    waitingSince.set(name, heardBefore);
    return false;
  }

  /** As it is now: a look may have begun before the lane was paused or removed. */
  function isHeld(lane: LaneEnds): boolean {
    const now = deps.lanes.find(lane);
    return now === undefined || now.hold !== undefined;
  }

  /** Messages that the destination takes besides the `ahead` that are on their way; undefined for any number. */
  async function roomFor(lane: LaneEnds, destination: Destination, ahead: bigint): Promise<bigint | undefined> {
    const now = BigInt(Math.floor(clock.now() / 1000));
    const available = availableAt(destination, now);
    if (available === undefined) return undefined;
    const room = available - ahead;
    if (room > 0n) return room;
    const capacity = destination.bucket?.capacity ?? 0n;
    const detail = `${lane.destination} takes no more than ${capacity} messages of the lane in a while`;
    const refilled = Number(refilledAt(destination, ahead + 1n)) * 1000;
    // Not long after that, whatever it says: governance may widen the limit.
    const dueAt = Math.min(Math.max(refilled, clock.now() + 1_000), clock.now() + longestRestMs);
    await waits.note(lane, "bucket-empty", `${detail}; the next at ${new Date(refilled).toISOString()}`, dueAt);
    return 0n;
  }

  /** What no message of the lane gets past: a pause, or a first message whose next attempt is not due. */
  async function mustWait(lane: LaneEnds, { isPaused }: Destination, first: OpenMessage): Promise<boolean> {
    if (isPaused) {
      await waits.note(lane, "destination-paused", `the lane is paused at ${lane.destination}`);
      return true;
    }
    const { retryAt } = first.progress.delivery ?? {};
    if (retryAt === undefined || retryAt <= BigInt(clock.now())) return false;
    const who = `message ${first.nonce} (${first.id})`;
    if (retryAt === never) {
      const detail = `${who} is a dead letter; the lane goes on once it is retried or delivered by others`;
      await waits.note(lane, "dead-lettered", detail, clock.now() + longestRestMs);
      return true;
    }
    await waits.note(lane, "delivery-failed", `the delivery of ${who} failed; it is tried again`, Number(retryAt));
    return true;
  }

  return {
    async step(lane) {
      try {
        if (!policy.deniesLane(lane)) return await look(lane);
        await waits.note(lane, "lane-denied", "the configured policy does not serve this lane");
      } catch (error) {
        if (!endpointErrors.some((code) => isLockstepError(error, code))) throw error;
        down.add(laneName(lane));
        const chain = isLockstepError(error) ? String(error.details.chain ?? lane.destination) : lane.destination;
        await waits.note(lane, "endpoint-down", `${chain} gives no usable answer`);
        log.debug({ err: error, lane: laneName(lane) }, "look at lane failed");
      }
      return false;
    },
    forget(lane) {
      destinations.forget(lane);
      setCheck.forget(lane);
      // Whether it was down when another looked last is not known here: what was noted of it goes with the first answer.
      down.add(laneName(lane));
    },
    heard(lane) {
      const name = laneName(lane);
      heardOf.set(name, (heardOf.get(name) ?? 0) + 1);
      return waitingSince.has(name);
    },
  };
}

/** Milliseconds between two looks at a lane that a dead letter or an empty bucket holds up: others may change that. */
const longestRestMs = 60_000;

/** Where the lane stands once what is on its way has arrived; undefined when nothing is. */
function baseOf({ word, nonce: head }: Destination, last: Flight | undefined): Base | undefined {
  return last && { word, nonce: last.last, accumulator: last.accumulator, before: last.last - head };
}

function takeWhile<T>(items: readonly T[], holds: (item: T) => boolean): T[] {
  const end = items.findIndex((item) => !holds(item));
  return end < 0 ? [...items] : items.slice(0, end);
}
