import type { Db } from "#core/db/db.ts";
import type { Append, EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Log } from "#core/observe/log.ts";
import type { Sender } from "#core/sender/sender.ts";
import type { Collector } from "./collect.ts";
import { createDeliveryWriter, type OpenMessage, withPlace } from "./delivery.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { type ChainHead, createGatewayReader } from "./gateway.ts";
import { failureOf } from "./intents.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { noteTrouble, troubles } from "./laneState.ts";
import type { Failure } from "./message.ts";
import { consecutive, planBatch } from "./planner.ts";
import { deliveryDelayMs, quorumDelayMs } from "./ramp.ts";
import { openRows } from "./readModel.ts";
import { createSetCheck } from "./setCheck.ts";
import type { ValidatorBook } from "./validators.ts";

/** Delivers a lane's messages. One look at a time per lane; see `createLaneRunner`. */
export type LaneDriver = {
  /** Takes the one next step that the chain and the quorum allow; true when another may follow at once. */
  step(lane: LaneEnds): Promise<boolean>;
};

type Deps = {
  db: Db;
  store: EventStore;
  sender: Sender;
  collect: Collector;
  book: ValidatorBook;
  clock: Clock;
  log: Log;
  /** Managed account that pays. */
  account: string;
  maxBatch: number;
};

/** Deliveries of one lane that may be on their way at once. */
const maxInFlight = 4;

export function createLaneDriver(deps: Deps): LaneDriver {
  const { db, store, sender, book, clock } = deps;
  const setCheck = createSetCheck({ book, clock });
  const delivery = createDeliveryWriter(deps);

  async function step(lane: LaneEnds): Promise<boolean> {
    const [head, rows] = await Promise.all([
      createGatewayReader(lane.to).inboundHead(lane.from.chain.chainId),
      openRows(db, lane, 0n, deps.maxBatch * (maxInFlight + 2)),
    ]);
    const open = rows.flatMap(withPlace).filter(({ nonce }) => nonce > head.nonce);
    if (open.length === 0) return false;
    const inFlight = await settleDeliveries(lane, open);
    if (inFlight === undefined) return true;
    const run = consecutive(open, head.nonce + 1n);
    const isFree = (row: OpenMessage) => !inFlight.has(row.progress.delivery?.intentId ?? "");
    const start = run.findIndex(isFree);
    const first = run[start];
    if (!first || inFlight.size >= maxInFlight) return false;
    if (await mustWait(lane, first)) return false;
    const candidates = takeWhile(run.slice(start), (row) => isFree(row) && row.progress.sent?.final === true);
    if (candidates.length === 0) return false;
    return deliver(lane, head, candidates);
  }

  /** Records deliveries that ended without effect (undefined: look again), or answers those still on their way. */
  async function settleDeliveries(lane: LaneEnds, open: readonly OpenMessage[]): Promise<Set<string> | undefined> {
    const started = open.filter(({ progress }) => progress.delivery && progress.delivery.retryAt === undefined);
    const byIntent = Map.groupBy(started, ({ progress }) => progress.delivery?.intentId ?? "");
    const failed: [OpenMessage[], Failure][] = [];
    for (const [intentId, rows] of byIntent) {
      const status = await sender.find(db, intentId);
      // A revert needs not be final: delivering once more is harmless.
      const reverted = status?.state === "included" && status.status === "reverted";
      const failure = reverted
        ? { code: "intent-reverted", detail: `transaction ${status.hash} reverted` }
        : failureOf(status);
      if (failure) failed.push([rows, failure]);
    }
    if (failed.length === 0) return new Set(byIntent.keys());
    setCheck.forget(lane);
    const appends = failed.flatMap(([rows, failure]) => rows.map((row) => failureAppend(lane, row, failure)));
    await db.tx((tx) => store.append(tx, appends));
    deps.log.warn({ lane: laneName(lane), deliveries: failed.length, code: failed[0]?.[1].code }, "delivery failed");
    return undefined;
  }

  function failureAppend({ origin, destination }: LaneEnds, row: OpenMessage, failure: Failure): Append {
    const attempt = row.progress.delivery?.attempt ?? 1;
    const retryAt = BigInt(clock.now() + deliveryDelayMs(attempt));
    const event: MessageEvent = {
      type: "DeliveryFailed",
      data: { origin, destination, attempt, ...failure, retryAt },
    };
    return { stream: messageStream(row.id), expected: row.version, events: [event] };
  }

  /** The lane waits for the ramp of its first message: those behind it cannot go without it. */
  async function mustWait(lane: LaneEnds, { progress }: OpenMessage): Promise<boolean> {
    const retryAt = progress.delivery?.retryAt;
    if (retryAt === undefined || retryAt <= BigInt(clock.now())) return false;
    const dueAt = new Date(Number(retryAt));
    const detail = "the delivery of the lane's next message failed; it is tried again";
    await noteTrouble(db, lane, { code: "delivery-failed", detail, dueAt }, progress.delivery?.attempt ?? 1);
    return true;
  }

  async function deliver(lane: LaneEnds, head: ChainHead, candidates: readonly OpenMessage[]): Promise<boolean> {
    const mismatch = await setCheck.problemOf(lane);
    if (mismatch) return noteMiss(lane, "validator-set-mismatch", mismatch);
    const count = planBatch(candidates, { maxBatch: deps.maxBatch, validators: book.all.length });
    const [first, last] = [candidates[0], candidates[count - 1]];
    if (!first || !last) return false;
    const { generation } = head;
    const quorum = await deps.collect({ lane, generation, from: first.nonce, to: last.nonce });
    if (!quorum) return noteMiss(lane, "awaiting-quorum", "too few validators have signed");
    const batch = candidates.filter(({ nonce }) => nonce <= quorum.nonce);
    await delivery.start(lane, generation, batch, quorum);
    return candidates.length > batch.length;
  }

  async function noteMiss(lane: LaneEnds, code: string, detail: string): Promise<false> {
    const before = (await troubles(db)).get(laneName(lane));
    // Looks that something else asked for in between do not use up the ramp.
    if (before?.code === code && before.dueAt.getTime() > clock.now()) return false;
    const misses = (before?.code === code ? before.misses : 0) + 1;
    const dueAt = new Date(clock.now() + quorumDelayMs(misses));
    await noteTrouble(db, lane, { code, detail, dueAt }, misses);
    deps.log.info({ lane: laneName(lane), code, misses }, "lane waits");
    return false;
  }

  return { step };
}

function takeWhile<T>(items: readonly T[], holds: (item: T) => boolean): T[] {
  const end = items.findIndex((item) => !holds(item));
  return end < 0 ? [...items] : items.slice(0, end);
}
