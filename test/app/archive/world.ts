import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { archivedHistories, createServiceArchiver } from "#app/archive.ts";
import { migrations, serviceEvents } from "#app/stored.ts";
import { createFolderStorage } from "#core/archive/folder.ts";
import type { ArchiveStorage } from "#core/archive/storage.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import type { EventStore } from "#core/events/store.ts";
import { type Mark, noMark } from "#core/kernel/mark.ts";
import { relayProjections } from "#relay";
import { type MessageEvent, messageStream } from "#relay/events.ts";
import { historyOf } from "#relay/history.ts";
import { type LaneEvent, laneStream } from "#relay/laneEvents.ts";
import { findMessageId } from "#relay/readModel.ts";
import { viewOf as messageViewOf } from "#relay/view.ts";
import { swapProjections } from "#swap";
import { type SwapEvent, swapStream } from "#swap/events.ts";
import { findSwapId } from "#swap/readModel.ts";
import { viewOf as swapViewOf } from "#swap/view.ts";
import { addressOf, epoch, hashOf, lane, events as m } from "#test/relay/samples.ts";
import { type OpenDatabase, quietLog } from "#test/support/databases.ts";
import * as s from "#test/swap/samples.ts";

export const dayMs = 86_400_000;
const timing = { finality: 10n, inclusion: 20n, skew: 5n };

/** The service's store, read models and archive, without chains. Days go by as they are told to. */
export async function openWorld(database: OpenDatabase, folder: string, storage = createFolderStorage(folder)) {
  const { db } = database;
  await migrate(db, migrations);
  let time = Date.now();
  const clock = { now: () => time, sleep: async () => undefined };
  const openStore = (over: ArchiveStorage = storage): EventStore =>
    createEventStore({
      ...{ db, clock, log: quietLog, schemas: serviceEvents, remembers: () => false },
      projections: [...relayProjections, ...swapProjections],
      archived: archivedHistories(db, over),
    });
  const store = openStore();
  const span = { hotDays: 30, warmDays: 90 };
  const retention = { events: span, intents: span, audit: span, idempotencyHours: 24 };
  const archiver = (mark: Mark = noMark, over: ArchiveStorage = storage) =>
    createServiceArchiver({
      ...{ db, clock, mark, log: quietLog, storage: over, store: openStore(over) },
      config: { retention } as never,
    });
  const append = (stream: string, expected: number | "any", events: readonly { type: string; data: unknown }[]) =>
    db.tx((tx) => store.append(tx, [{ stream, expected, events }]));
  const side = (event: LaneEvent) => append(laneStream(lane, "delivery"), "any", [event]);

  return {
    ...{ db, store, storage, clock, archiver, append, openStore },
    pass: (days: number) => {
      time += days * dayMs;
    },
    /** All readers have read everything. */
    read: () =>
      db.query(
        `INSERT INTO event_subscriptions (name, position) SELECT 'jobs', position FROM event_counter
         ON CONFLICT (name) DO UPDATE SET position = excluded.position`,
      ),
    send: (...nonces: number[]) =>
      Promise.all(
        nonces.map((nonce) => append(messageStream(idOf(nonce)), 0, [m.sent(BigInt(nonce)) as MessageEvent])),
      ),
    async deliver(first: number, last: number) {
      const run = { ...lane, firstNonce: BigInt(first), lastNonce: BigInt(last) };
      const [hash, accumulator] = [hashOf(77), hashOf(last + 500)];
      await side({ type: "MessagesFinalized", data: { ...run, finalHeight: 12n } });
      const started = { checkpointNonce: run.lastNonce, epoch: 1n, intentId: `i-${first}-${last}`, attempt: 1 };
      await side({ type: "DeliveriesStarted", data: { ...run, ...started } });
      const seen = { transactionHash: hash, blockNumber: 20n, blockHash: hash, at: 1n };
      await side({ type: "MessagesDelivered", data: { ...run, accumulator, ...seen } });
    },
    settle: (first: number, last: number) =>
      side({
        type: "DeliveriesFinalized",
        data: { ...lane, firstNonce: BigInt(first), lastNonce: BigInt(last), finalHeight: 21n },
      }),
    /** A swap with terms of its own that went as the events say, and ended where `ends`. */
    async swap(id: string, digit: string, story: readonly SwapEvent[], ends: boolean) {
      if (s.requested.type !== "SwapRequested") throw new Error("it is the first event");
      const { data } = s.requested;
      const leg = (name: "source" | "target") => ({
        ...data[name],
        lockId: s.hexOf(digit + (name === "source" ? "1" : "2"), 16),
      });
      const own = { ...data, hashlock: s.hexOf(digit), source: leg("source"), target: leg("target") };
      await append(swapStream(id), 0, [{ type: "SwapRequested", data: own }, ...story]);
      if (ends) await db.query("UPDATE swaps SET due_at = NULL WHERE id = $1", [id]);
      return own;
    },
    async message(reference: string, from: EventStore = store) {
      const id = (await findMessageId(db, reference)) ?? reference;
      const context = { book: epoch, heads: new Map(), retryFailed: true };
      return messageViewOf(await historyOf(from, db, id), () => context);
    },
    async shownSwap(reference: string, from: EventStore = store) {
      const id = (await findSwapId(db, reference)) ?? reference;
      return swapViewOf(
        await from.load<SwapEvent>(db, swapStream(id)),
        () => ({ source: timing, target: timing, reaction: 10n }) as never,
        5_000n,
      );
    },
    files: async () =>
      (await readdir(folder, { recursive: true })).filter((name) => /\.(gz|json|part)$/.test(name)).sort(),
    count: async (table: string) => {
      const [row] = await db.query<{ count: bigint }>(`SELECT count(*) AS count FROM ${table}`);
      return Number(row?.count ?? 0);
    },
  };
}
export type World = Awaited<ReturnType<typeof openWorld>>;

export const idOf = (nonce: number) => `message-of-${nonce}`;
export const onchainIdOf = (nonce: number) => hashOf(nonce);

/** What a completed swap has gone through. */
export const completed: readonly SwapEvent[] = [
  ...[s.detected("source"), s.locked("source"), s.detected("target"), s.locked("target"), s.revealStarted],
  ...[s.claimed("target"), s.claimed("source"), s.claimFinal("target"), s.claimFinal("source")],
];
export const halfway: readonly SwapEvent[] = [s.detected("source"), s.locked("source")];

/** An intent of a swap or a lane that has ended, with the transaction that was signed for it. */
export async function intent(
  { db, append }: World,
  id: string,
  subject: string,
  nonce: number,
  kind = "swap.claim",
): Promise<void> {
  await db.query(
    `INSERT INTO sender_intent (id, chain, account, kind, subject, call, gas, dry_run, state, nonce, events)
     VALUES ($1, 'alpha', 'bob', $4, $2, '{}', 1, false, 'finalized', $3, 1)`,
    [id, subject, nonce, kind],
  );
  await db.query(
    "INSERT INTO sender_attempt (hash, intent, nonce, kind, max_fee, max_tip) VALUES ($1, $2, $3, 'call', 1, 1)",
    [hashOf(9_000 + nonce), id, nonce],
  );
  const data = {
    chain: "alpha",
    kind,
    subject,
    hash: hashOf(9_000 + nonce),
    blockNumber: 5n,
    status: "success",
    gasUsed: 1n,
  };
  await append(`intent-${id}`, 0, [{ type: "IntentFinalized", data }]);
}

export async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), "lockstep-archive-"));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

export const stranger = addressOf(9);
