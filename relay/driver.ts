import type { Db } from "#core/db/db.ts";
import type { Append, EventStore } from "#core/events/store.ts";
import { type Clock, unixSeconds } from "#core/kernel/clock.ts";
import type { Log } from "#core/observe/log.ts";
import type { Sender } from "#core/sender/sender.ts";
import { pruneAttestations } from "./attestationStore.ts";
import type { Collector } from "./collect.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import { type ChainHead, createGatewayReader } from "./gateway.ts";
import { deliveryIntent, failureOf } from "./intents.ts";
import { type LaneEnds, laneName } from "./lane.ts";
import { clearTrouble, noteTrouble, troubles } from "./laneState.ts";
import { type Failure, foldMessage } from "./message.ts";
import { consecutive, planBatch } from "./planner.ts";
import type { Message as WireMessage } from "./protocol/message.ts";
import { validatorSetHash } from "./protocol/quorum.ts";
import type { QuorumAt } from "./quorum.ts";
import { deliveryDelayMs, quorumDelayMs } from "./ramp.ts";
import { openRows } from "./readModel.ts";
import type { MessageRow } from "./rows.ts";
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

/** A set that was found right is looked at again after this long, or after a failure. */
const setCheckedMs = 60_000;

/** A message together with its place, which every open message has. */
type Open = MessageRow & { readonly nonce: bigint; readonly gasLimit: bigint; readonly payloadBytes: number };

export function createLaneDriver(deps: Deps): LaneDriver {
  const { db, store, sender, book, clock } = deps;
  const setsChecked = new Map<string, number>();

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
    const isFree = (row: Open) => !inFlight.has(row.progress.delivery?.intentId ?? "");
    const start = run.findIndex(isFree);
    const first = run[start];
    if (!first || inFlight.size >= maxInFlight) return false;
    if (await mustWait(lane, first)) return false;
    const candidates = takeWhile(run.slice(start), (row) => isFree(row) && row.progress.sent?.final === true);
    if (candidates.length === 0) return false;
    return deliver(lane, head, candidates);
  }

  /** Records deliveries that ended without effect (undefined: look again), or answers those still on their way. */
  async function settleDeliveries(lane: LaneEnds, open: readonly Open[]): Promise<Set<string> | undefined> {
    const started = open.filter(({ progress }) => progress.delivery && progress.delivery.retryAt === undefined);
    const byIntent = Map.groupBy(started, ({ progress }) => progress.delivery?.intentId ?? "");
    const failed: [Open[], Failure][] = [];
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
    setsChecked.delete(laneName(lane));
    const appends = failed.flatMap(([rows, failure]) => rows.map((row) => failureAppend(lane, row, failure)));
    await db.tx((tx) => store.append(tx, appends));
    deps.log.warn({ lane: laneName(lane), deliveries: failed.length, code: failed[0]?.[1].code }, "delivery failed");
    return undefined;
  }

  function failureAppend({ origin, destination }: LaneEnds, row: Open, failure: Failure): Append {
    const attempt = row.progress.delivery?.attempt ?? 1;
    const retryAt = BigInt(clock.now() + deliveryDelayMs(attempt));
    const event: MessageEvent = {
      type: "DeliveryFailed",
      data: { origin, destination, attempt, ...failure, retryAt },
    };
    return { stream: messageStream(row.id), expected: row.version, events: [event] };
  }

  /** The lane waits for the ramp of its first message: those behind it cannot go without it. */
  async function mustWait(lane: LaneEnds, { progress }: Open): Promise<boolean> {
    const retryAt = progress.delivery?.retryAt;
    if (retryAt === undefined || retryAt <= BigInt(clock.now())) return false;
    const dueAt = new Date(Number(retryAt));
    const detail = "the delivery of the lane's next message failed; it is tried again";
    await noteTrouble(db, lane, { code: "delivery-failed", detail, dueAt }, progress.delivery?.attempt ?? 1);
    return true;
  }

  async function deliver(lane: LaneEnds, head: ChainHead, candidates: readonly Open[]): Promise<boolean> {
    const mismatch = await validatorSetProblem(lane);
    if (mismatch) return noteMiss(lane, "validator-set-mismatch", mismatch);
    const count = planBatch(candidates, { maxBatch: deps.maxBatch, validators: book.all.length });
    const [first, last] = [candidates[0], candidates[count - 1]];
    if (!first || !last) return false;
    const { generation } = head;
    const quorum = await deps.collect({ lane, generation, from: first.nonce, to: last.nonce });
    if (!quorum) return noteMiss(lane, "awaiting-quorum", "too few validators have signed");
    const batch = candidates.filter(({ nonce }) => nonce <= quorum.nonce);
    await submit(lane, generation, batch, quorum);
    return candidates.length > batch.length;
  }

  async function submit(lane: LaneEnds, generation: number, batch: readonly Open[], quorum: QuorumAt): Promise<void> {
    const [first, last] = [batch[0], batch.at(-1)];
    if (!first || !last?.progress.sent) return;
    const { accumulator } = last.progress.sent;
    const checkpoint = {
      ...{ originChainId: lane.from.chain.chainId, originGateway: lane.from.gateway, generation },
      ...{ nonce: quorum.nonce, accumulator, epoch: book.epoch },
    };
    const messages = await contents(batch);
    const set = book.set;
    const delivery = { checkpoint, set, ...quorum, firstNonce: first.nonce, messages, laterIds: [] };
    const attempt = (first.progress.delivery?.attempt ?? 0) + 1;
    const intent = deliveryIntent(lane, delivery, attempt, deps.account);
    const appends = batch.map((row): Append => {
      const started = { intentId: intent.id, attempt, firstNonce: first.nonce, lastNonce: last.nonce };
      return { stream: messageStream(row.id), expected: row.version, events: startEvents(lane, row, quorum, started) };
    });
    await db.tx(async (tx) => {
      await clearTrouble(tx, lane);
      await sender.submit(tx, [intent]);
      await store.append(tx, appends);
    });
    deps.log.debug({ lane: laneName(lane), first: first.nonce, last: last.nonce, attempt }, "delivery started");
    await pruneAttestations(db, lane, first.nonce);
  }

  function startEvents(
    { origin, destination }: LaneEnds,
    { progress }: Open,
    { nonce: checkpointNonce }: QuorumAt,
    started: { intentId: string; attempt: number; firstNonce: bigint; lastNonce: bigint },
  ): MessageEvent[] {
    const lane = { origin, destination };
    const attested: MessageEvent = {
      type: "MessageAttested",
      data: { ...lane, checkpointNonce, epoch: book.epoch },
    };
    return [...(progress.attested ? [] : [attested]), { type: "DeliveryStarted", data: { ...lane, ...started } }];
  }

  async function contents(batch: readonly Open[]): Promise<WireMessage[]> {
    const streams = await store.loadMany<MessageEvent>(
      db,
      batch.map(({ id }) => messageStream(id)),
    );
    return batch.map(({ id }) => {
      const content = foldMessage(streams.get(messageStream(id)) ?? [])?.content;
      if (!content) throw new Error(`message ${id} is in a lane but has no content`);
      return content;
    });
  }

  /** Why the destination would not take signatures of the configured set, undefined when it would. */
  async function validatorSetProblem(lane: LaneEnds): Promise<string | undefined> {
    const checkedAt = setsChecked.get(laneName(lane));
    if (checkedAt !== undefined && clock.now() < checkedAt + setCheckedMs) return undefined;
    const originChainId = lane.from.chain.chainId;
    const { setHash, validUntil } = await createGatewayReader(lane.to).epochInfo(originChainId, book.epoch);
    if (setHash !== validatorSetHash(originChainId, book.epoch, book.set)) {
      return `the validators that ${lane.destination} knows for epoch ${book.epoch} are not the configured ones`;
    }
    if (validUntil <= unixSeconds(clock)) return `epoch ${book.epoch} has expired at ${lane.destination}`;
    setsChecked.set(laneName(lane), clock.now());
    return undefined;
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

function withPlace(row: MessageRow): Open[] {
  const { sent } = row.progress;
  return sent ? [{ ...row, nonce: sent.nonce, gasLimit: sent.gasLimit, payloadBytes: sent.payloadBytes }] : [];
}

function takeWhile<T>(items: readonly T[], holds: (item: T) => boolean): T[] {
  const end = items.findIndex((item) => !holds(item));
  return end < 0 ? [...items] : items.slice(0, end);
}
