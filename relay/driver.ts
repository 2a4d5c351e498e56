import type { Db } from "#core/db/db.ts";
import type { Append, EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Log } from "#core/observe/log.ts";
import type { Sender } from "#core/sender/sender.ts";
import type { Authorize } from "./authority.ts";
import type { RecentContents } from "./contents.ts";
import { createDeliveryWriter } from "./delivery.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { type ChainHead, createGatewayReader } from "./gateway.ts";
import { failureOf } from "./intents.ts";
import { type LaneEnds, type Lanes, laneName, type WayOfDelivery } from "./lane.ts";
import { noteTrouble, troubles } from "./laneState.ts";
import type { Failure } from "./message.ts";
import { type OpenMessage, withPlace } from "./openMessage.ts";
import { consecutive, planBatch } from "./planner.ts";
import { deliveryDelayMs, quorumDelayMs } from "./ramp.ts";
import { openRows } from "./readModel.ts";
import { createSetCheck } from "./setCheck.ts";
import type { ValidatorBook } from "./validators.ts";

/** Delivers a lane's messages. One look at a time per lane; see `createLaneRunner`. */
export type LaneDriver = {
  /** Takes the one next step that the chain and the quorum allow; true when another may follow at once. */
  step(lane: LaneEnds): Promise<boolean>;
  /** A validator has said something about the lane. True when the lane waits for that and wants a look. */
  heard(lane: LaneEnds): boolean;
};

type Deps = {
  db: Db;
  store: EventStore;
  sender: Sender;
  lanes: Pick<Lanes, "find">;
  contents: RecentContents;
  /** What makes a destination believe a batch, by the lane's way of delivery. */
  authorities: Readonly<Record<WayOfDelivery, Authorize>>;
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
  const setCheck = createSetCheck({ clock });
  const delivery = createDeliveryWriter(deps);
  /** How often validators were heard about a lane, and at which count it began to wait for more. */
  const heardOf = new Map<string, number>();
  const waitingSince = new Map<string, number>();

  async function step(lane: LaneEnds): Promise<boolean> {
    const heardBefore = heardOf.get(laneName(lane)) ?? 0;
    const head = await createGatewayReader(lane.to).inboundHead(lane.from.chain.chainId);
    // From the head on: messages below it that still wait for their outcome's log must not fill the batch.
    const rows = await openRows(db, lane, head.nonce, deps.maxBatch * (maxInFlight + 2));
    const open = rows.flatMap(withPlace);
    if (open.length === 0) return false;
    const inFlight = await settleDeliveries(lane, open);
    if (inFlight === undefined) return true;
    const run = consecutive(open, head.nonce + 1n);
    const isFree = (row: OpenMessage) => !inFlight.has(row.progress.delivery?.intentId ?? "");
    const start = run.findIndex(isFree);
    const first = run[start];
    if (!first || inFlight.size >= maxInFlight || isHeld(lane)) return false;
    if (await mustWait(lane, first)) return false;
    const candidates = takeWhile(run.slice(start), (row) => isFree(row) && row.progress.sent?.final === true);
    if (candidates.length === 0) return false;
    const answer = await deliver(lane, head, candidates);
    if (answer !== "no-quorum") return answer === "more";
    // What was said during this look was not looked at.
    if ((heardOf.get(laneName(lane)) ?? 0) !== heardBefore) return true;
    waitingSince.set(laneName(lane), heardBefore);
    return false;
  }

  /** As it is now: a look may have begun before the lane was paused or removed. */
  function isHeld(lane: LaneEnds): boolean {
    const now = deps.lanes.find(lane);
    return now === undefined || now.hold !== undefined;
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

  async function deliver(
    lane: LaneEnds,
    { generation }: ChainHead,
    candidates: readonly OpenMessage[],
  ): Promise<"more" | "done" | "no-quorum"> {
    const { epochs, problem } = await setCheck.usable(lane, (await book.read()).valid(lane));
    if (problem) {
      await noteMiss(lane, "validator-set-mismatch", problem);
      return "done";
    }
    const validators = Math.max(...epochs.map(({ set }) => set.validators.length));
    const count = planBatch(candidates, { maxBatch: deps.maxBatch, validators });
    const planned = candidates.slice(0, count);
    const [first] = planned;
    if (!first) return "done";
    const authorize = deps.authorities[lane.delivery];
    const [authorized, contents] = await Promise.all([
      authorize({ lane, generation, epochs, planned: [first, ...planned.slice(1)] }),
      delivery.contents(planned),
    ]);
    if ("missing" in authorized) {
      const { code, detail } = authorized.missing;
      await noteMiss(lane, code, detail);
      return code === "awaiting-quorum" ? "no-quorum" : "done";
    }
    if (isHeld(lane)) return "done";
    const { authority } = authorized;
    const batch = planned.filter(({ nonce }) => nonce <= authority.nonce);
    await delivery.start({ lane, generation, batch, contents, authority });
    waitingSince.delete(laneName(lane));
    return candidates.length > batch.length ? "more" : "done";
  }

  async function noteMiss(lane: LaneEnds, code: string, detail: string): Promise<void> {
    const before = (await troubles(db)).get(laneName(lane));
    // Looks that something else asked for in between do not use up the ramp.
    if (before?.code === code && before.dueAt.getTime() > clock.now()) return;
    const misses = (before?.code === code ? before.misses : 0) + 1;
    const dueAt = new Date(clock.now() + quorumDelayMs(misses));
    await noteTrouble(db, lane, { code, detail, dueAt }, misses);
    deps.log.info({ lane: laneName(lane), code, misses }, "lane waits");
  }

  return {
    step,
    heard(lane) {
      const name = laneName(lane);
      heardOf.set(name, (heardOf.get(name) ?? 0) + 1);
      return waitingSince.has(name);
    },
  };
}

function takeWhile<T>(items: readonly T[], holds: (item: T) => boolean): T[] {
  const end = items.findIndex((item) => !holds(item));
  return end < 0 ? [...items] : items.slice(0, end);
}
