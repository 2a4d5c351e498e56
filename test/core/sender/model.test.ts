import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import type { Hex } from "viem";
import type { KeyStore } from "#core/chain/keys.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import { createSender, type RunningSender } from "#core/sender/createSender.ts";
import { type IntentRequest, intentEvents } from "#core/sender/sender.ts";
import { senderMigrations } from "#core/sender/tables.ts";
import { type OpenDatabase, openBackend, quietLog } from "../../support/databases.ts";
import { ringData } from "../../support/tinyContracts.ts";
import { createVirtualClock } from "../../support/virtualClock.ts";
import { createModelChain, type ModelChain, modelKeys } from "./modelChain.ts";

const resendMs = 100;
const lag = 3;
/** Accounts on the one chain, each with a loop of its own. */
const loops = 2;

type Event =
  | { kind: "submit"; count: number; account: "alice" | "pool"; subject: number }
  | { kind: "mine" | "dropPool" | "restart" | "crash" | "wait" }
  | { kind: "reorganise"; depth: number; back: boolean }
  | { kind: "failSends"; faults: ("silent" | "loud" | "refused")[] }
  | { kind: "foreign"; account: "alice" | "bob"; where: "block" | "pool" }
  | { kind: "signer"; answers: boolean }
  | { kind: "baseFee"; gwei: bigint };

const only = <K extends string>(...kinds: K[]) => fc.constantFrom(...kinds).map((kind) => ({ kind }));
const events: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        kind: fc.constant("submit"),
        count: fc.integer({ min: 1, max: 4 }),
        account: fc.constantFrom("alice", "pool"),
        subject: fc.nat(2),
      }),
    },
    { weight: 6, arbitrary: only("mine", "mine", "wait", "dropPool", "restart", "crash") },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("reorganise"),
        depth: fc.integer({ min: 1, max: lag }),
        back: fc.boolean(),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({
        kind: fc.constant("failSends"),
        faults: fc.array(fc.constantFrom("silent", "loud", "refused"), { maxLength: 4 }),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        kind: fc.constant("foreign"),
        account: fc.constantFrom("alice", "bob"),
        where: fc.constantFrom("block", "pool"),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("signer"), answers: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("baseFee"), gwei: fc.bigInt({ min: 1n, max: 50n }) }) },
  ) as fc.Arbitrary<Event>,
  { minLength: 4, maxLength: 18 },
);

/** What chance brings about too rarely. */
const knownStories: [Event[]][] = [
  // The transactions after a foreign one are left without it.
  [
    [
      { kind: "foreign", account: "alice", where: "block" },
      { kind: "submit", count: 4, account: "alice", subject: 0 },
      { kind: "reorganise", depth: 1, back: false },
      { kind: "dropPool" },
    ],
  ],
  // The signer is gone when what was sent is to be priced higher, and back when others wait for it.
  [
    [
      { kind: "submit", count: 3, account: "alice", subject: 0 },
      { kind: "signer", answers: false },
      { kind: "baseFee", gwei: 50n },
      { kind: "submit", count: 2, account: "pool", subject: 1 },
      { kind: "dropPool" },
      { kind: "wait" },
      { kind: "restart" },
    ],
  ],
  // So many wait behind the gap that nothing new may be signed.
  [
    [
      { kind: "foreign", account: "alice", where: "block" },
      { kind: "foreign", account: "alice", where: "block" },
      { kind: "submit", count: 4, account: "alice", subject: 0 },
      { kind: "submit", count: 4, account: "alice", subject: 1 },
      { kind: "reorganise", depth: 2, back: false },
    ],
  ],
];

describe("the sender on a chain where everything goes wrong", () => {
  let database: OpenDatabase;
  let runs = 0;

  before(async () => {
    database = await (await openBackend()).open();
    await migrate(database.db, [...eventMigrations, ...senderMigrations]);
  });
  after(() => database.close());

  it("ends every intent exactly once, with no nonce lost, left over or used twice", { timeout: 120_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(events, (story) => live(story, `model-${runs++}`)),
      {
        numRuns: 25,
        examples: knownStories,
      },
    );
  });

  async function live(story: readonly Event[], name: string): Promise<void> {
    const chain = createModelChain(name, 900_000 + runs, lag);
    const clock = createVirtualClock(1_800_000_000_000);
    const sealer = createSealer(redact(randomBytes(32)));
    const ids: string[] = [];
    let crash = false;
    let signs = true;
    const keyStore: KeyStore = {
      ...modelKeys,
      async signTransaction(account, transaction) {
        if (!signs) throw new LockstepError("signer-unreachable", "the signer is down");
        return modelKeys.signTransaction(account, transaction);
      },
    };
    const mark = () => {
      if (!crash) return;
      crash = false;
      throw new Error("the process dies here");
    };
    const start = async (): Promise<RunningSender> => {
      const { db } = database;
      const store = createEventStore({ db, schemas: intentEvents, projections: [], log: quietLog, clock });
      const sender = createSender({
        ...{ db, store, keyStore, sealer, clock, log: quietLog, mark },
        pools: { pool: ["alice", "bob"] },
        chains: fixed({ [name]: { chain, settings: { pollMs: 20, resendMs, maxPending: 6 } } }),
      });
      await sender.start();
      return sender;
    };
    let sender = await start();
    const settle = async (ms = 25) => {
      await clock.asleep(loops);
      clock.advance(ms);
      await clock.asleep(loops);
    };

    for (const event of story) {
      if (event.kind === "submit") {
        const intents = Array.from({ length: event.count }, () => intentOf(name, ids, event));
        await database.db.tx((tx) => sender.submit(tx, intents));
      } else if (event.kind === "restart") {
        await sender.stop();
        sender = await start();
      } else if (event.kind === "crash") crash = true;
      else if (event.kind === "signer") signs = event.answers;
      else if (event.kind === "wait") clock.advance(resendMs);
      else happen(chain, event);
      await settle();
    }
    crash = false;
    signs = true;
    chain.failSends([]);
    for (let calm = 0; calm < 80 && !(await allEnded(name)); calm++) {
      chain.mine();
      await settle(resendMs + 5);
    }
    await sender.stop();
    await assertRight(name, chain, ids);
  }

  async function allEnded(name: string): Promise<boolean> {
    const rows = await database.db.query(
      "SELECT 1 FROM sender_intent WHERE chain = $1 AND state NOT IN ('finalized', 'abandoned')",
      [name],
    );
    return rows.length === 0;
  }

  async function assertRight(name: string, chain: ModelChain, ids: readonly string[]): Promise<void> {
    const rows = await database.db.query<{ id: string; account: string; nonce: bigint; state: string; hash: Hex }>(
      "SELECT id, account, nonce, state, mined_hash AS hash FROM sender_intent WHERE chain = $1",
      [name],
    );
    const open = rows.filter(({ state }) => state !== "finalized" && state !== "abandoned");
    assert.deepEqual(open, [], "all have ended");
    const inBlocks = chain.canonical();
    for (const id of ids) {
      const row = rows.find((each) => each.id === id);
      const effects = inBlocks.filter(({ data }) => data === ringData(BigInt(id.split("-").at(-1) ?? "0") + 1n));
      assert.equal(
        effects.length,
        row?.state === "finalized" ? 1 : 0,
        `${id} (${row?.state}) had an effect once or never`,
      );
      if (row?.state === "finalized") assert.equal(effects[0]?.hash, row.hash);
      if (row?.state === "finalized") assert.equal(effects[0]?.nonce, Number(row.nonce));
    }
    for (const account of modelKeys.names()) {
      const own = rows.filter((row) => row.account === account && row.nonce !== null).map(({ nonce }) => Number(nonce));
      assert.equal(new Set(own).size, own.length, "a nonce belongs to one intent");
      const from = modelKeys.address(account);
      const used = inBlocks.filter((each) => each.from === from).map(({ nonce }) => nonce);
      assert.deepEqual(
        used,
        used.map((_, index) => index),
        "the chain has no gap",
      );
      assert.ok(
        own.every((nonce) => nonce < used.length),
        "and nothing of ours is ahead of it",
      );
    }
    const events = await database.db.query<{ ended: bigint }>(
      `SELECT count(*) AS ended FROM events WHERE stream LIKE $1 AND type IN ('IntentFinalized', 'IntentAbandoned')
       GROUP BY stream`,
      [`intent-${name}-%`],
    );
    assert.ok(events.length === ids.length && events.every(({ ended }) => ended === 1n), "each end is told once");
  }
});

function intentOf(chain: string, ids: string[], event: Extract<Event, { kind: "submit" }>): IntentRequest {
  const id = `${chain}-${ids.length}`;
  ids.push(id);
  return {
    ...{ id, chain, account: event.account, kind: "test.ring", subject: `subject-${event.subject}` },
    call: { to: modelKeys.address("bob"), data: ringData(BigInt(ids.length)), value: 0n },
    ...{ gas: 100_000n, dryRun: false },
  };
}

function happen(
  chain: ModelChain,
  event: Exclude<Event, { kind: "submit" | "restart" | "crash" | "wait" | "signer" }>,
): void {
  if (event.kind === "reorganise") chain.reorganise(event.depth, event.back);
  else if (event.kind === "failSends") chain.failSends(event.faults);
  else if (event.kind === "foreign") chain.foreign(modelKeys.address(event.account), event.where);
  else if (event.kind === "baseFee") chain.setBaseFee(event.gwei * 10n ** 9n);
  else if (event.kind === "dropPool") chain.dropPool();
  else chain.mine();
}
