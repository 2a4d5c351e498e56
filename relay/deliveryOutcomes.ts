import type { Db } from "#core/db/db.ts";
import type { Append, EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Log } from "#core/observe/log.ts";
import type { Sender } from "#core/sender/sender.ts";
import { readDestination } from "./destination.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import type { Flight } from "./flights.ts";
import { historyOf } from "./history.ts";
import { failureSeen } from "./intents.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { foldMessage } from "./message.ts";
import { type OpenMessage, withPlace } from "./openMessage.ts";
import { nextAttempt } from "./ramp.ts";
import { flyingRows } from "./readModel.ts";
import { reasonCodeOf } from "./reasons.ts";

type Failure = { readonly code: string; readonly detail: string };

/** What became of deliveries that were set on their way, and what follows for their messages. */
export type DeliveryOutcomes = {
  /** Records what ended without effect; false when something did, so that the lane is to be looked at again. */
  settle(lane: LaneEnds, flights: readonly Flight[], head: bigint): Promise<boolean>;
  /** Records that a delivery that begins with these messages has failed, or would: the first one is at fault. */
  fail(lane: LaneEnds, rows: readonly OpenMessage[], failure: Failure): Promise<void>;
  /** How many deliveries of a message have failed in a row; being left for later by its destination is no failure. */
  misses(row: OpenMessage): Promise<number>;
};

type Deps = {
  db: Db;
  store: EventStore;
  sender: Sender;
  clock: Clock;
  log: Log;
  random(): number;
};

/** A delivery of which the sender has seen a final receipt, so that it does nothing more about it. */
type Ended = { readonly intentId: string; readonly hash: Hex; readonly rows: OpenMessage[] };

/** Milliseconds that the effect of a final delivery may be missing, because the endpoint that is asked lags. */
const patienceMs = 60_000;

export function createDeliveryOutcomes({ db, store, sender, clock, log, random }: Deps): DeliveryOutcomes {
  /** By lane, since when which final deliveries lack their effect. */
  const missing = new Map<string, ReadonlyMap<string, number>>();

  async function settle(lane: LaneEnds, flights: readonly Flight[], head: bigint) {
    const failed: [OpenMessage[], Failure][] = [];
    const succeeded: OpenMessage[] = [];
    const ended: Ended[] = [];
    let newestBlock: bigint | undefined;
    for (const flight of flights) {
      const status = await sender.find(db, flight.intentId);
      const failure = failureSeen(status);
      const isIncluded = status?.state === "included" || status?.state === "finalized";
      if (!isIncluded && !failure) continue;
      const rows = (await flyingRows(db, lane, flight)).flatMap(withPlace);
      if (failure) failed.push([rows, failure]);
      else succeeded.push(...rows);
      if (status?.state === "included" && status.blockNumber > (newestBlock ?? -1n)) newestBlock = status.blockNumber;
      if (!failure && status?.state === "finalized") ended.push({ intentId: flight.intentId, hash: status.hash, rows });
    }
    const left = await leftBehind(lane, succeeded, head, newestBlock);
    if (left.length === 0) failed.push(...vanished(lane, ended));
    if (failed.length === 0 && left.length === 0) return true;
    const appends = await Promise.all(failed.map(([rows, failure]) => failureAppends(lane, rows, failure)));
    await db.tx((tx) => store.append(tx, [...appends.flat(), ...left.map((row) => leftAppend(lane, row))]));
    if (failed.length > 0) log.warn({ lane: laneName(lane), code: failed[0]?.[1].code }, "delivery failed");
    return false;
  }

  /** Messages whose delivery succeeded without them: the destination's bucket let only those before them through. */
  async function leftBehind(lane: LaneEnds, rows: readonly OpenMessage[], head: bigint, at: bigint | undefined) {
    if (rows.every(({ nonce }) => nonce <= head)) return [];
    // As it was right after the newest of these deliveries: the head was read before, or by an endpoint that lags, and to
    // bring messages again that have arrived costs gas.
    const { nonce: fresh, bucket } = await readDestination(lane, at);
    // Without a bucket nothing is left behind, and the endpoint that was asked is behind its chain.
    return bucket ? rows.filter(({ nonce }) => nonce > fresh) : [];
  }

  /**
   * Final deliveries of messages that are above the head all the same: their blocks, or those they built on, are gone.
   * Nobody else brings these messages again; to deliver one twice does no harm.
   */
  function vanished(lane: LaneEnds, ended: readonly Ended[]): [OpenMessage[], Failure][] {
    const before = missing.get(laneName(lane));
    const since = new Map<string, number>();
    const gone: [OpenMessage[], Failure][] = [];
    for (const { intentId, hash, rows } of ended) {
      const from = before?.get(intentId) ?? clock.now();
      const detail = `transaction ${hash} was final, and ${lane.destination} has not what it did`;
      if (clock.now() - from < patienceMs) since.set(intentId, from);
      else gone.push([rows, { code: "delivery-failed", detail }]);
    }
    missing.set(laneName(lane), since);
    return gone;
  }

  function leftAppend({ origin, destination }: LaneEnds, row: OpenMessage): Append {
    const detail = "the destination took only the messages before it";
    const attempt = row.progress.delivery?.attempt ?? 1;
    const data = { origin, destination, attempt, code: "bucket-empty", detail, retryAt: BigInt(clock.now()) };
    return append(row, [{ type: "DeliveryFailed", data }]);
  }

  /** Most messages were never tried before: for these nothing is read. */
  async function missesOf({ id, progress }: OpenMessage): Promise<number> {
    if (!progress.delivery) return 0;
    return foldMessage(await historyOf(store, db, id))?.attempts.misses ?? 0;
  }

  async function failureAppends(lane: LaneEnds, rows: readonly OpenMessage[], failure: Failure): Promise<Append[]> {
    const [first, ...others] = rows;
    if (!first) return [];
    const { origin, destination } = lane;
    const misses = (await missesOf(first)) + 1;
    const next = nextAttempt(reasonCodeOf(failure.code), misses, random());
    const retryAt = BigInt(clock.now() + (next === "dead" ? 0 : next.delayMs));
    const failedEvent = (attempt: number): MessageEvent => ({
      type: "DeliveryFailed",
      data: { origin, destination, attempt, ...failure, retryAt },
    });
    // What the dry-run refused never began: it counts as an attempt of its own.
    const isRunning = first.progress.delivery && first.progress.delivery.retryAt === undefined;
    const attempt = (first.progress.delivery?.attempt ?? 0) + (isRunning ? 0 : 1);
    const events = [failedEvent(attempt)];
    if (next === "dead") {
      events.push({ type: "MessageDeadLettered", data: { origin, destination, ...failure, attempts: misses } });
      log.error({ lane: laneName(lane), message: first.id, nonce: first.nonce }, "message is a dead letter");
    }
    const behind = others.map((row) => append(row, [failedEvent(row.progress.delivery?.attempt ?? 1)]));
    return [append(first, events), ...behind];
  }

  const append = (row: OpenMessage, events: readonly MessageEvent[]): Append => ({
    stream: messageStream(row.id),
    expected: row.version,
    events,
  });

  return {
    settle,
    misses: missesOf,
    async fail(lane, rows, failure) {
      const appends = await failureAppends(lane, rows, failure);
      await db.tx((tx) => store.append(tx, appends));
    },
  };
}
