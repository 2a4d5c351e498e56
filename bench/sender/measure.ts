import { randomBytes } from "node:crypto";
import { createChain } from "#core/chain/createChain.ts";
import { createKeyStore } from "#core/chain/keys.ts";
import type { Db, Queryable } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { fixed } from "#core/kernel/live.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import { createSender } from "#core/sender/createSender.ts";
import { type IntentRequest, intentEvents } from "#core/sender/sender.ts";
import { senderMigrations } from "#core/sender/tables.ts";
import { type DatabaseBackend, openBackend, quietLog } from "#test/support/databases.ts";
import { localKey } from "#test/support/localChain.ts";
import { until } from "#test/support/until.ts";

export type SendingFigures = {
  readonly keys: number;
  readonly backend: DatabaseBackend["name"];
  readonly seconds: number;
  readonly perSecond: number;
  readonly cpuMsPerIntent: number;
  readonly statementsPerIntent: number;
  readonly requestsPerIntent: number;
};

/** Sends intents of as many subjects as there are keys in hand, and counts what that takes. */
export async function measureSending(options: {
  url: string;
  chainId: number;
  intents: number;
  keys: number;
}): Promise<SendingFigures> {
  const backend = await openBackend();
  const database = await backend.open();
  const counts = { statements: 0, requests: 0 };
  const db = counted(database.db, counts);
  const log = quietLog;
  const clock = systemClock;
  await migrate(database.db, [...eventMigrations, ...senderMigrations]);
  const names = Array.from({ length: options.keys }, (_, index) => `key-${index}`);
  const keyStore = createKeyStore(Object.fromEntries(names.map((name, index) => [name, redact(localKey(index + 1))])));
  const access = createChain(
    { name: "alpha", chainId: options.chainId, endpoints: [options.url], finality: { blocks: 0 } },
    { log, clock },
  );
  const chain = new Proxy(access, {
    get(target, property: keyof typeof access) {
      const value = target[property];
      if (typeof value !== "function") return value;
      return (...args: never[]) => {
        counts.requests++;
        return (value as (...given: never[]) => unknown)(...args);
      };
    },
  });
  const sender = createSender({
    pools: { pool: names },
    ...{ db, clock, log, keyStore, chains: fixed({ alpha: { chain } }), sealer: createSealer(redact(randomBytes(32))) },
    store: createEventStore({ db, schemas: intentEvents, projections: [], log, clock }),
  });
  await sender.start();
  try {
    const wanted = Array.from(
      { length: options.intents },
      (_, index): IntentRequest => ({
        ...{ id: `bench-${index}`, chain: "alpha", account: "pool", kind: "bench.transfer" },
        ...{ subject: `bench-${index % (4 * options.keys)}`, gas: 21_000n, dryRun: false },
        call: { to: keyStore.address("key-0"), data: "0x", value: 1n },
      }),
    );
    const cpu = process.cpuUsage();
    const began = performance.now();
    Object.assign(counts, { statements: 0, requests: 0 });
    for (let at = 0; at < wanted.length; at += 50) {
      const some = wanted.slice(at, at + 50);
      await db.tx((tx) => sender.submit(tx, some));
    }
    await until(() => allFinal(database.db, wanted.length), "all are final", 120_000);
    const seconds = (performance.now() - began) / 1_000;
    const { user, system } = process.cpuUsage(cpu);
    return {
      ...{ keys: options.keys, backend: backend.name },
      seconds: round(seconds),
      perSecond: round(wanted.length / seconds),
      cpuMsPerIntent: round((user + system) / 1_000 / wanted.length),
      statementsPerIntent: round(counts.statements / wanted.length),
      requestsPerIntent: round(counts.requests / wanted.length),
    };
  } finally {
    await sender.stop();
    await database.close();
  }
}

async function allFinal(db: Queryable, count: number): Promise<boolean> {
  const rows = await db.query("SELECT 1 FROM sender_intent WHERE state = 'finalized'");
  return rows.length === count;
}

/** The same database, with every statement counted, BEGIN and COMMIT included. */
function counted(db: Db, counts: { statements: number }): Db {
  const count = <T>(work: T): T => {
    counts.statements++;
    return work;
  };
  return {
    ...db,
    query: (text, params) => count(db.query(text, params)),
    tx: (work) => {
      counts.statements += 2;
      return db.tx((tx) => work({ ...tx, query: (text, params) => count(tx.query(text, params)) }));
    },
  };
}

const round = (value: number) => Math.round(value * 100) / 100;
