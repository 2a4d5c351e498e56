import { z } from "zod";
import { entriesOf } from "#core/archive/tables.ts";
import { restoreBackup } from "#core/backup/restore.ts";
import { loadConfig, parseEnv } from "#core/config/load.ts";
import { type ServiceConfig, serviceConfigSchema } from "#core/config/service.ts";
import { startEmbeddedDatabase } from "#core/db/embedded/embedded.ts";
import { migrate } from "#core/db/migrate.ts";
import { createDb, type PostgresDb } from "#core/db/postgres.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { type Difference, type Replayed, replay, type Until } from "#core/events/replay.ts";
import { createShow } from "#core/events/shown.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";
import { createLog, type Log } from "#core/observe/log.ts";
import { shownKinds } from "../api/eventRoutes.ts";
import { openServiceDatabase, readBackupKeys } from "../backup/open.ts";
import { backupPlan } from "../backup/plan.ts";
import { exitUnlike } from "../exitCodes.ts";
import { migrations, projections, serviceEvents } from "../stored.ts";
import { print, table } from "../terminal.ts";
import { readOptions, usageError } from "./options.ts";
import { replayCommand } from "./specs.ts";

/** Rows that differ of which each is named. */
const mostNamed = 1_000;

export async function runReplay(args: readonly string[]): Promise<number> {
  const { config: path, file, until: point, subject, check, json } = readOptions(replayCommand, args);
  if (check && (point !== undefined || subject !== undefined))
    throw usageError("--check compares with what is now: it goes with neither --until nor --subject");
  const until = point === undefined ? {} : untilOf(point);
  const config = loadConfig(path, serviceConfigSchema);
  const env = parseEnv();
  const log = createLog({ level: env.LOCKSTEP_LOG_LEVEL === "info" ? "warn" : env.LOCKSTEP_LOG_LEVEL, name: "replay" });
  const { db, close } = await (file === undefined
    ? openServiceDatabase(config, env, log)
    : openFile(file, config, log));
  try {
    return await replay({ db, schemas: serviceEvents, projections }, until, (replayed) => {
      if (check) return tellDifferences(replayed, json);
      return subject === undefined ? tellAll(replayed, json) : tellOne(db, log, replayed, { subject, until, json });
    });
  } finally {
    await close();
  }
}

function untilOf(point: string): Until {
  if (/^\d{1,18}$/.test(point)) return { position: BigInt(point) };
  // Without its zone a time is another on another machine.
  const { data } = z.iso.datetime({ offset: true, local: false }).safeParse(point);
  if (data !== undefined) return { at: new Date(data) };
  throw usageError(`--until: expected a position or a time with its zone, as 2026-01-31T12:00:00Z, not "${point}"`);
}

/** A backup in a database of its own in memory, which is gone at the end. */
async function openFile(file: string, config: ServiceConfig, log: Log) {
  const keys = readBackupKeys(config);
  const embedded = await startEmbeddedDatabase({ log });
  const db = createDb({ connectionString: embedded.connectionString, log, poolSize: 2 });
  const close = async () => {
    await db.close();
    await embedded.close();
  };
  try {
    await restoreBackup({ db, migrations, plan: backupPlan, keys, file, after: "moved", now: Date.now });
    await migrate(db, migrations);
    return { db, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function tellDifferences(replayed: Replayed, json: boolean): Promise<number> {
  const found = await replayed.compare(mostNamed);
  if (json) print(toJson({ events: replayed.events, last: replayed.last, differences: found }));
  else if (found.length === 0) print(`the read models are as ${replayed.events} events make them`);
  else for (const difference of found) print(wordsOf(difference));
  return found.length === 0 ? 0 : exitUnlike;
}

function wordsOf({ table: name, key, live, replayed }: Difference): string {
  if (!live) return `${name} ${key}: missing; its events make ${toJson(replayed)}`;
  if (!replayed) return `${name} ${key}: no event makes it; there is ${toJson(live)}`;
  return `${name} ${key}: there is ${toJson(live)}; its events make ${toJson(replayed)}`;
}

async function tellAll({ from, events, last }: Replayed, json: boolean): Promise<number> {
  const counts: Record<string, number> = {};
  for (const name of projections.flatMap(({ tables }) => tables)) {
    const [row] = await from.query<{ count: number }>(`SELECT count(*)::integer AS count FROM ${name}`);
    counts[name] = row?.count ?? 0;
  }
  const messages = await from.query<{ status: string; count: number }>(
    "SELECT status, count(*)::integer AS count FROM relay_messages GROUP BY status ORDER BY status",
  );
  if (json) {
    print(
      toJson({
        events,
        last,
        rows: counts,
        messages: Object.fromEntries(messages.map((each) => [each.status, each.count])),
      }),
    );
    return 0;
  }
  print(`${events} events up to position ${last}`);
  print(
    table(
      ["table", "rows"],
      Object.entries(counts).map(([name, rows]) => [name, String(rows)]),
    ),
  );
  if (messages.length > 0)
    print(
      table(
        ["messages", "number"],
        messages.map((each) => [each.status, String(each.count)]),
      ),
    );
  return 0;
}

/** Streams of what the API calls by an id. */
const streamsOf = (subject: string) => ["swap-", "message-", "watch-"].map((kind) => `${kind}${subject}`);

async function tellOne(
  db: PostgresDb,
  log: Log,
  { from }: Replayed,
  { subject, until, json }: { subject: string; until: Until; json: boolean },
): Promise<number> {
  const store = createEventStore({ db, schemas: serviceEvents, log });
  const streams = await store.loadMany(from, streamsOf(subject));
  const events = [...streams.values()]
    .flat()
    .filter(({ position, at }) => position <= (until.position ?? position) && at <= (until.at ?? at));
  const [gone] = events.length === 0 ? await entriesOf(from, streamsOf(subject)) : [];
  if (gone) {
    const message = `${subject} has left for the archive; lockstep archive show tells what is there of it`;
    throw new LockstepError("event-position-gone", message, { details: { field: "subject" } });
  }
  const shown = await createShow({ kinds: shownKinds, store, db: from })(events);
  const rows: Record<string, unknown[]> = {};
  for (const [name, column] of [
    ["swaps", "id"],
    ["swap_legs", "swap_id"],
    ["relay_messages", "id"],
    ["relay_failures", "id"],
  ]) {
    const found = await from.query<{ row: unknown }>(`SELECT to_jsonb(t) AS row FROM ${name} t WHERE ${column} = $1`, [
      subject,
    ]);
    if (found.length > 0 && name) rows[name] = found.map(({ row }) => row);
  }
  if (json) print(toJson({ subject, events: shown.map(({ text }) => JSON.parse(text)), rows }));
  else {
    for (const { text } of shown) print(text);
    for (const [name, found] of Object.entries(rows)) for (const row of found) print(`${name}: ${toJson(row)}`);
    if (events.length === 0) print(`nothing had happened to ${subject} by then`);
  }
  return events.length === 0 ? exitUnlike : 0;
}
