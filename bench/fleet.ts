import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { createDb } from "#core/db/postgres.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { createLeases } from "#core/lease/keeper.ts";
import type { Lease } from "#core/lease/lease.ts";
import { createLog } from "#core/observe/log.ts";
import { postgresServer } from "#test/support/databases.ts";
import { type Member, startMember } from "#test/support/fleet.ts";
import { redisUrl } from "#test/support/queues.ts";
import { type Burst, runBurst } from "./relay/burst.ts";
import { openWorld, type World } from "./relay/world.ts";

/**
 * Messages through one indexer and one relayer, and through two of each beside them on the same machine, in turns on one
 * network; and what a transaction takes that is fenced by a lease, beside one that is not. Jobs are on Redis, and for
 * comparison in PostgreSQL.
 */
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: {
    json: { type: "boolean", default: false },
    messages: { type: "string", default: "5000" },
    /** Bursts of each fleet, of which the middle one counts. */
    bursts: { type: "string", default: "5" },
  },
});

type Figures = {
  readonly perSecond: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly cpuMs: Burst["cpuMs"];
};

const messages = Number(values.messages);
const log = createLog({ level: "silent", name: "bench" });

async function withWorld<T>(serviceEnv: Record<string, string>, work: (world: World) => Promise<T>): Promise<T> {
  const world = await openWorld("postgres", { serviceEnv });
  try {
    // It takes what validators push and does nothing else.
    const { service, layout } = world.network;
    const config = JSON.parse(readFileSync(layout.service, "utf8"));
    writeFileSync(layout.service, JSON.stringify({ ...config, roles: ["api"] }));
    await service.stop();
    await service.start();
    return await work(world);
  } finally {
    await world.close();
  }
}

const urlOf = ({ database }: World): string => new URL(database ?? "", postgresServer).href;

/** A burst through so many indexers and relayers, each a process of its own. */
async function burstThrough(world: World, count: number, redis: string): Promise<Burst> {
  const { network } = world;
  const env = { LOCKSTEP_LOG_LEVEL: "info", DATABASE_URL: urlOf(world), REDIS_URL: redis };
  const members: Member[] = [];
  try {
    for (const role of ["indexer", "relayer"] as const) {
      for (let at = 1; at <= count; at++) {
        members.push(await startMember({ network, env }, `${role}-${at}`, { roles: [role], env }));
      }
    }
    // What a process has to compile and to find out before it is at its pace.
    await runBurst(world, 1_000);
    return await runBurst(world, messages);
  } finally {
    await Promise.all(members.map((member) => member.stop()));
  }
}

function figuresOf(bursts: readonly Burst[]): Figures {
  const inOrder = bursts.toSorted((a, b) => a.perSecond - b.perSecond);
  const middle = inOrder[bursts.length >> 1];
  if (!middle) throw new RangeError("at least one burst has to run");
  const sum = (key: "lost" | "duplicates") => bursts.reduce((total, burst) => total + burst[key], 0);
  return { perSecond: middle.perSecond, cpuMs: middle.cpuMs, lost: sum("lost"), duplicates: sum("duplicates") };
}

/** Milliseconds of a transaction that writes a row: as it is, and fenced by a lease. */
async function measureFence(world: World): Promise<{ plainMs: number; fencedMs: number }> {
  const db = createDb({ connectionString: urlOf(world), log });
  const rollCall = async () => [];
  const leases = createLeases({ db, instance: "bench", ms: 60_000, rollCall, clock: systemClock, log });
  try {
    await db.query("CREATE TABLE bench_written (number integer)");
    await leases.start();
    const lease = leases.of("bench/fence");
    await new Promise<void>((resolve) => lease.contend({ start: resolve, stop: async () => undefined }));
    const time = async (on: Pick<Lease["db"], "tx">) => {
      const began = performance.now();
      for (let i = 0; i < 1_000; i++) await on.tx((tx) => tx.query("INSERT INTO bench_written VALUES ($1)", [i]));
      return (performance.now() - began) / 1_000;
    };
    await time(db);
    const plain = [];
    const fenced = [];
    for (let i = 0; i < 5; i++) {
      plain.push(await time(db));
      fenced.push(await time(lease.db));
    }
    const middle = (all: number[]) => Math.round(1_000 * (all.toSorted((a, b) => a - b)[2] ?? 0)) / 1_000;
    return { plainMs: middle(plain), fencedMs: middle(fenced) };
  } finally {
    await leases.stop();
    await db.close();
  }
}

const [single, fleet, fence] = await withWorld({ REDIS_URL: redisUrl }, async (world) => {
  const bursts: { one: Burst[]; two: Burst[] } = { one: [], two: [] };
  for (let i = 0; i < Number(values.bursts); i++) {
    bursts.one.push(await burstThrough(world, 1, redisUrl));
    bursts.two.push(await burstThrough(world, 2, redisUrl));
  }
  return [figuresOf(bursts.one), figuresOf(bursts.two), await measureFence(world)] as const;
});
const withoutRedis = await withWorld({ REDIS_URL: "" }, async (world) => figuresOf([await burstThrough(world, 1, "")]));
const ratio = Math.round((100 * fleet.perSecond) / single.perSecond) / 100;

if (values.json) console.log(JSON.stringify({ single, fleet, ratio, fence, withoutRedis }));
else {
  const row = ({ perSecond, lost, duplicates, cpuMs }: Figures) => ({ perSecond, lost, duplicates, ...cpuMs });
  console.log(`messages a second, and CPU milliseconds a message; two of each do ${ratio} of one of each`);
  console.table({
    "one indexer, one relayer": row(single),
    "two of each": row(fleet),
    "one of each, no Redis": row(withoutRedis),
  });
  console.log(`a transaction takes ${fence.plainMs} ms, and fenced by a lease ${fence.fencedMs} ms`);
}
