import { randomBytes } from "node:crypto";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { fixed } from "#core/kernel/live.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import type { Log } from "#core/observe/log.ts";
import type { SendSettings } from "#core/sender/context.ts";
import { createSender, type RunningSender, type SenderDeps } from "#core/sender/createSender.ts";
import { type IntentRequest, intentEvents } from "#core/sender/sender.ts";
import { senderMigrations } from "#core/sender/tables.ts";
import { type DatabaseBackend, type OpenDatabase, quietLog } from "../../support/databases.ts";
import { ringData } from "../../support/tinyContracts.ts";
import { createVirtualClock, type VirtualClock } from "../../support/virtualClock.ts";
import { createModelChain, type ModelChain, modelKeys } from "./modelChain.ts";

/** Accounts on the one chain, each with a loop of its own. */
const loops = modelKeys.names().length;
const startAt = 1_800_000_000_000;
let chains = 0;

/** A sender on a model chain, moved on step by step. Accounts `alice` and `bob` are the pool `pool`. */
export type Stage = {
  readonly database: OpenDatabase;
  readonly chain: ModelChain;
  readonly clock: VirtualClock;
  readonly sender: RunningSender;
  submit(...intents: IntentRequest[]): Promise<void>;
  /** Lets everybody look once after so many milliseconds. */
  pass(ms?: number): Promise<void>;
  /** Blocks and looks until nothing is open, 60 at most. */
  finish(): Promise<void>;
  rows(): Promise<Row[]>;
  close(): Promise<void>;
};
type Row = { id: string; account: string; subject: string; state: string; nonce: bigint | null };

export async function openStage(
  backend: DatabaseBackend,
  settings: Partial<SendSettings> = {},
  options: { log?: Log; deps?: Partial<SenderDeps> } = {},
): Promise<Stage> {
  const database = await backend.open();
  const { db } = database;
  await migrate(db, [...eventMigrations, ...senderMigrations]);
  const chain = createModelChain("alpha", 800_000 + chains++, 1);
  const clock = createVirtualClock(startAt);
  const log = options.log ?? quietLog;
  const sender = await closing(database, () =>
    createSender({
      ...{
        db,
        chains: fixed({ alpha: { chain, settings: { pollMs: 20, resendMs: 100, ...settings } } }),
        keyStore: modelKeys,
        sealer: createSealer(redact(randomBytes(32))),
        clock,
        log,
      },
      store: createEventStore({ db, schemas: intentEvents, projections: [], log: quietLog, clock }),
      pools: { pool: ["alice", "bob"] },
      ...options.deps,
    }),
  );
  await sender.start();
  const pass = async (ms = 25) => {
    await clock.asleep(loops);
    clock.advance(ms);
    await clock.asleep(loops);
  };
  const rows = () =>
    db.query<Row>("SELECT id, account, subject, state, nonce FROM sender_intent ORDER BY place") as Promise<Row[]>;
  return {
    ...{ database, chain, clock, sender, pass, rows },
    submit: (...intents) => db.tx((tx) => sender.submit(tx, intents)),
    async finish() {
      for (let looks = 0; looks < 60; looks++) {
        if ((await rows()).every(({ state }) => state === "finalized" || state === "abandoned")) return;
        chain.mine();
        await pass(105);
      }
      throw new Error("intents are open still");
    },
    async close() {
      await sender.stop();
      await database.close();
    },
  };
}

/** What could not be made leaves no database behind. */
async function closing<T>(database: OpenDatabase, make: () => T): Promise<T> {
  try {
    return make();
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** An intent of the pool unless told otherwise. */
export const wanted = (word: number, overrides: Partial<IntentRequest> = {}): IntentRequest => ({
  ...{ id: `want-${word}`, chain: "alpha", account: "pool", kind: "test.ring", subject: `subject-${word}` },
  call: { to: modelKeys.address("bob"), data: ringData(BigInt(word)), value: 0n },
  ...{ gas: 100_000n, dryRun: false },
  ...overrides,
});
