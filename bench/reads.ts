import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { z } from "zod";
import { migrate } from "#core/db/migrate.ts";
import { createDb } from "#core/db/postgres.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { createLog } from "#core/observe/log.ts";
import { connectRedis } from "#core/redis/connect.ts";
import { onServer, postgresServer } from "#test/support/databases.ts";
import { redisUrl } from "#test/support/queues.ts";

/**
 * What it costs to have the events of a swap at hand: from memory with one look for what follows, as the service does it,
 * read whole, and from Redis as a second level would, with the same look for what follows and without it. Processor time in
 * microseconds a read, of this process and of the servers, so it may be measured on a busy machine.
 */
const { values } = parseArgs({
  args: process.argv.slice(3),
  options: { json: { type: "boolean" }, reads: { type: "string", default: "4000" } },
});
const reads = Number(values.reads);
const eventsOfSwap = 14;
const streams = 200;
const ticksPerSecond = 100;

const log = createLog({ level: "silent", name: "bench" });
const database = `lockstep_bench_reads_${process.pid}`;
await onServer(`CREATE DATABASE ${database}`);
const connectionString = new URL(database, postgresServer).href;
const db = createDb({ connectionString, log, poolSize: 1 });
const schemas = { Happened: z.strictObject({ at: z.string(), what: z.string(), hash: z.string() }) };
const warm = createEventStore({ db, schemas, log });
const cold = createEventStore({ db, schemas, log, remembers: () => false });
const names = Array.from({ length: streams }, () => `swap-${randomUUID()}`);
const data = { at: new Date(0).toISOString(), what: "a leg was locked", hash: `0x${"ab".repeat(32)}` };
const events = Array.from({ length: eventsOfSwap }, () => ({ type: "Happened", data }));
const redis = connectRedis(redisUrl);
redis.on("error", () => undefined);
const prefix = `lockstep_bench_${process.pid}`;

/** Processor time of the one connection's server process, in microseconds. */
async function databaseMicros(): Promise<number> {
  const [row] = await db.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
  const fields = readFileSync(`/proc/${row?.pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / ticksPerSecond;
}
async function redisMicros(): Promise<number> {
  const info = await redis.info("cpu");
  const of = (name: string) => Number(new RegExp(`${name}:([\\d.]+)`).exec(info)?.[1] ?? 0);
  return (of("used_cpu_user_main_thread") + of("used_cpu_sys_main_thread")) * 1_000_000;
}

async function measure(read: (stream: string) => Promise<unknown>) {
  for (const stream of names) await read(stream);
  const before = { own: process.cpuUsage(), database: await databaseMicros(), redis: await redisMicros() };
  for (let at = 0; at < reads; at++) await read(names[at % streams] ?? "");
  const own = process.cpuUsage(before.own);
  const micros = (spent: number) => Math.round(spent / reads);
  return {
    own: micros(own.user + own.system),
    database: micros((await databaseMicros()) - before.database),
    redis: micros((await redisMicros()) - before.redis),
  };
}

const following = (stream: string) =>
  db.query("SELECT position, stream, version, type, data, at FROM events WHERE stream = $1 AND version > $2", [
    ...[stream, eventsOfSwap],
  ]);
const fromRedis = async (stream: string) => JSON.parse((await redis.get(`${prefix}:${stream}`)) ?? "[]") as unknown[];
try {
  await migrate(db, eventMigrations);
  for (const stream of names) await db.tx((tx) => warm.append(tx, [{ stream, expected: 0, events }]));
  for (const stream of names) {
    const found = await warm.load(db, stream);
    const text = JSON.stringify(found.map((event) => ({ ...event, position: String(event.position) })));
    await redis.set(`${prefix}:${stream}`, text);
  }
  const found = {
    memory: await measure((stream) => warm.load(db, stream)),
    whole: await measure((stream) => cold.load(db, stream)),
    redis: await measure(fromRedis),
    redisAndLook: await measure((stream) => Promise.all([fromRedis(stream), following(stream)])),
  };
  if (values.json) console.log(JSON.stringify(found));
  else console.table(found);
} finally {
  await redis.del(...names.map((stream) => `${prefix}:${stream}`));
  redis.disconnect();
  await db.close();
  await onServer(`DROP DATABASE ${database} WITH (FORCE)`);
}
