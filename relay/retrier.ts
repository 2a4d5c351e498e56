import type { Db } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { isLockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import { readDestination } from "./destination.ts";
import { dueRetries } from "./failures.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import type { Policy } from "./policy.ts";
import type { MessageActions } from "./retry.ts";

type Deps = {
  db: Db;
  clock: Clock;
  log: Log;
  actions: Pick<MessageActions, "retryDue">;
  policy: Pick<Policy, "deniesLane">;
};

/** Retries taken in one look. */
const most = 10;
/** Milliseconds that a lane rests whose destination is paused or does not answer; no attempt is used up by it. */
const restMs = 10_000;
/** Milliseconds that a single message rests whose retry could not even be tried, so that it holds up no other. */
const messageRestMs = 60_000;

/** Takes the due retries of a lane's failed messages, one look at a time; see `createLaneRunner`. */
export function createRetrier({ db, clock, log, actions, policy }: Deps): { step(lane: LaneEnds): Promise<boolean> } {
  const restingUntil = new Map<string, number>();
  /** The same for single messages, by their ids. */
  const messagesResting = new Map<string, number>();

  function restingIds(): string[] {
    for (const [id, until] of messagesResting) if (until <= clock.now()) messagesResting.delete(id);
    return [...messagesResting.keys()];
  }

  async function take(lane: LaneEnds, id: string): Promise<void> {
    try {
      await actions.retryDue(id);
    } catch (error) {
      // What is true of the chain is true of the other messages as well.
      if (isLockstepError(error, "chain-unreachable")) throw error;
      log.warn({ err: error, lane: laneName(lane), message: id }, "a retry could not be taken");
      messagesResting.set(id, clock.now() + messageRestMs);
    }
  }

  async function look(lane: LaneEnds): Promise<boolean> {
    if (lane.hold || policy.deniesLane(lane)) return false;
    const due = await dueRetries(db, lane, clock.now(), { except: restingIds(), limit: most });
    if (due.length === 0) return false;
    if ((await readDestination(lane)).isPaused) {
      restingUntil.set(laneName(lane), clock.now() + restMs);
      return false;
    }
    for (const id of due) await take(lane, id);
    return due.length === most;
  }

  return {
    async step(lane) {
      if ((restingUntil.get(laneName(lane)) ?? 0) > clock.now()) return false;
      try {
        return await look(lane);
      } catch (error) {
        log.warn({ err: error, lane: laneName(lane) }, "retries could not be taken");
        restingUntil.set(laneName(lane), clock.now() + restMs);
        return false;
      }
    },
  };
}
