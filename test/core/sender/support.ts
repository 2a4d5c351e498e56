import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createChain } from "#core/chain/createChain.ts";
import { createKeyStore, type KeyStore } from "#core/chain/keys.ts";
import { createSameChain } from "#core/chain/sameChain.ts";
import type { Db } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { EventOf, EventStore } from "#core/events/store.ts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { fixed } from "#core/kernel/live.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import type { SendSettings } from "#core/sender/context.ts";
import { createSender, type RunningSender, type SenderDeps } from "#core/sender/createSender.ts";
import { type IntentRequest, intentEvents } from "#core/sender/sender.ts";
import { senderMigrations } from "#core/sender/tables.ts";
import { type DatabaseBackend, type OpenDatabase, quietLog } from "../../support/databases.ts";
import { localKey } from "../../support/localChain.ts";
import { ringData } from "../../support/tinyContracts.ts";
import { until } from "../../support/until.ts";

export type IntentEvent = EventOf<typeof intentEvents>;

export type Bench = {
  readonly database: OpenDatabase;
  readonly keyStore: KeyStore;
  /** A sender as a process of its own would have it, started; stopped by `close`. */
  process(
    options?: Partial<SenderDeps> & {
      url?: string;
      finality?: { blocks: number } | "finalized";
      settings?: { alpha: Partial<SendSettings> };
    },
  ): Promise<RunningSender & { readonly db: Db }>;
  submit(sender: RunningSender, intents: readonly IntentRequest[]): Promise<void>;
  eventsOf(id: string): Promise<IntentEvent[]>;
  /** Waits until every intent has ended, and gives the last event of each. */
  ended(ids: readonly string[], timeoutMs?: number): Promise<IntentEvent[]>;
  /** Nonces of all intents, ascending. */
  nonces(): Promise<number[]>;
  close(): Promise<void>;
};

/** A database with the sender's tables, and senders on it. */
export async function openBench(backend: DatabaseBackend, chain: { url: string; chainId: number }): Promise<Bench> {
  const database = await backend.open();
  await migrate(database.db, [...eventMigrations, ...senderMigrations]);
  const store = storeOn(database.db);
  const keyStore = createKeyStore({ alice: redact(localKey(5)), bob: redact(localKey(6)) });
  const sealer = createSealer(redact(randomBytes(32)));
  const running: RunningSender[] = [];
  const eventsOf = (id: string) => store.load<IntentEvent>(database.db, `intent-${id}`);
  return {
    database,
    keyStore,
    async process({ url = chain.url, finality = { blocks: 0 }, settings, ...overrides } = {}) {
      const db = database.another();
      const pollMs = settings?.alpha.pollMs ?? 5;
      const access = createChain(
        { name: "alpha", chainId: chain.chainId, endpoints: [url], finality, pollMs },
        { log: quietLog, clock: systemClock, timeoutMs: 1_000, retries: 1 },
      );
      const sender = createSender({
        ...{ db, store: storeOn(db), keyStore, sealer, clock: systemClock, log: quietLog },
        sameChain: createSameChain({ clock: systemClock, confirm: { looks: 3, ms: 0 } }),
        chains: fixed({ alpha: { chain: access, settings: settings?.alpha ?? { pollMs: 5, resendMs: 100 } } }),
        ...overrides,
      });
      running.push(sender);
      await sender.start();
      return { ...sender, db };
    },
    submit: (sender, intents) => database.db.tx((tx) => sender.submit(tx, intents)),
    eventsOf,
    async ended(ids, timeoutMs = 20_000) {
      const last: IntentEvent[] = [];
      for (const id of ids) {
        const found = await until(
          async () => (await eventsOf(id)).find(({ type }) => type !== "IntentIncluded"),
          `intent ${id} ends`,
          timeoutMs,
        );
        last.push(found);
      }
      return last;
    },
    async nonces() {
      const rows = await database.db.query<{ nonce: bigint }>(
        "SELECT nonce FROM sender_intent WHERE nonce IS NOT NULL ORDER BY nonce",
      );
      return rows.map(({ nonce }) => Number(nonce));
    },
    async close() {
      await Promise.all(running.splice(0).map((sender) => sender.stop()));
      await database.close();
    },
  };
}

const storeOn = (db: Db): EventStore =>
  createEventStore({ db, schemas: intentEvents, projections: [], log: quietLog, clock: systemClock });

/** An intent that rings once. */
export const ringing = (ringer: Hex, word: bigint, overrides: Partial<IntentRequest> = {}): IntentRequest => ({
  id: `ring-${word}`,
  chain: "alpha",
  account: "alice",
  kind: "test.ring",
  subject: "test",
  call: { to: ringer, data: ringData(word), value: 0n },
  gas: 100_000n,
  dryRun: false,
  ...overrides,
});

export function assertContiguous(nonces: readonly number[]): void {
  assert.deepEqual(
    nonces,
    nonces.map((_, index) => (nonces[0] ?? 0) + index),
  );
}
