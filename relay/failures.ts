import type { Migration, Queryable, Tx } from "#core/db/db.ts";
import type { Projection, StoredEvent } from "#core/events/store.ts";
import { type Attempts, evolveAttempts, isDeferral, noAttempts } from "./attempts.ts";
import { type MessageEvent, messageIdOf } from "./events.ts";
import type { Lane } from "./lane.ts";

/** Messages that did not go through at once. Most never get a row, so that what goes well pays nothing for it. */
export const failureMigrations: readonly Migration[] = [
  {
    id: "relay/005-failures",
    sql: `
      CREATE TABLE relay_failures (
        id text PRIMARY KEY, origin text NOT NULL, destination text NOT NULL, code text NOT NULL,
        failed_at bigint NOT NULL, misses integer NOT NULL, retry_at bigint, dead boolean NOT NULL,
        abandoned boolean NOT NULL
      );
      CREATE INDEX relay_failures_due ON relay_failures (retry_at) WHERE retry_at IS NOT NULL;
      CREATE INDEX relay_failures_lane ON relay_failures (origin, destination, failed_at);
      CREATE INDEX relay_messages_pending ON relay_messages (id) WHERE status = 'submitted' OR retry_running;
    `,
  },
];

/**
 * Messages that had failed before there was a table of failures. None is retried by itself: when and why they failed is
 * only in their events.
 */
export const olderFailureMigrations: readonly Migration[] = [
  {
    id: "relay/019-older-failures",
    sql: `
      INSERT INTO relay_failures (id, origin, destination, code, failed_at, misses, retry_at, dead, abandoned)
      SELECT id, origin, destination, 'execution-failed', (extract(epoch FROM now()) * 1000)::bigint, 0, NULL, false, false
        FROM relay_messages WHERE failed_block IS NOT NULL AND executed_block IS NULL
      ON CONFLICT DO NOTHING;
    `,
  },
];

export const failedThereMigrations: readonly Migration[] = [
  {
    id: "relay/020-failed-there",
    sql: `
      -- Whether it failed at its destination, which a reorganisation of the origin does not take back.
      ALTER TABLE relay_failures ADD COLUMN failed_there boolean NOT NULL DEFAULT false;
      UPDATE relay_failures SET failed_there = true
        FROM relay_messages AS m WHERE m.id = relay_failures.id AND m.failed_block IS NOT NULL;
    `,
  },
];

type Row = {
  id: string;
  origin: string;
  destination: string;
  code: string;
  failed_at: bigint;
  misses: number;
  retry_at: bigint | null;
  dead: boolean;
  abandoned: boolean;
  failed_there: boolean;
};

const handled = [
  ...["MessageFailed", "MessageSkipped", "RetryStarted", "RetryFailed", "MessageDeadLettered", "MessageRevived"],
  ...["MessageAbandoned", "DeliveryReorged", "MessageReorged"],
];

/** Keeps a row for every message that failed; that it was executed since is only in `relay_messages`. */
export const failureProjection: Projection = {
  name: "failures",
  handles: handled,
  tables: ["relay_failures"],
  async apply(tx, events) {
    const ids = [...new Set(events.map(({ stream }) => messageIdOf(stream) ?? ""))];
    const found = await tx.query<Row>("SELECT * FROM relay_failures WHERE id = ANY($1)", [ids]);
    const rows = new Map(found.map((row) => [row.id, row]));
    const gone = new Set<string>();
    for (const event of events as readonly StoredEvent<MessageEvent>[]) {
      const id = messageIdOf(event.stream) ?? "";
      const row = evolve(id, rows.get(id), event);
      if (row) rows.set(id, row);
      else if (rows.delete(id)) gone.add(id);
    }
    if (gone.size > 0) await tx.query("DELETE FROM relay_failures WHERE id = ANY($1)", [[...gone]]);
    if (rows.size > 0) await save(tx, [...rows.values()]);
  },
};

function evolve(id: string, before: Row | undefined, event: StoredEvent<MessageEvent>): Row | undefined {
  if (event.type === "MessageReorged" && !before?.failed_there) return undefined;
  if (event.type === "DeliveryReorged" && (event.data.undone === "failed" || !before)) return undefined;
  const { origin, destination } = event.data;
  const attempts = evolveAttempts(before ? attemptsOf(before) : noAttempts, event);
  const isFailure = event.type === "MessageFailed" || event.type === "MessageSkipped";
  return {
    ...{ id, origin, destination, code: codeOf(event) ?? before?.code ?? "execution-failed" },
    failed_at: isFailure || !before ? BigInt(event.at.getTime()) : before.failed_at,
    ...{ misses: attempts.misses, retry_at: attempts.retryAt ?? null },
    ...{ dead: attempts.dead !== undefined, abandoned: attempts.abandoned === true },
    failed_there: attempts.failed === true,
  };
}

function codeOf(event: MessageEvent): string | undefined {
  if (event.type === "MessageFailed") return isDeferral(event.data.reason) ? "deferred" : "execution-failed";
  if (event.type === "MessageSkipped") return "lane-realigned";
  return event.type === "RetryFailed" || event.type === "MessageDeadLettered" ? event.data.code : undefined;
}

const attemptsOf = ({ misses, retry_at, dead, abandoned, failed_there, code }: Row): Attempts => ({
  misses,
  ...(retry_at !== null && { retryAt: retry_at }),
  ...(dead && { dead: { code, detail: "", attempts: misses } }),
  ...(abandoned && { abandoned }),
  ...(failed_there && { failed: failed_there }),
});

async function save(tx: Tx, rows: readonly Row[]): Promise<void> {
  const given = rows.map((row) => ({
    ...row,
    failed_at: row.failed_at.toString(),
    retry_at: row.retry_at?.toString() ?? null,
  }));
  await tx.query(
    `INSERT INTO relay_failures
       (id, origin, destination, code, failed_at, misses, retry_at, dead, abandoned, failed_there)
     SELECT * FROM jsonb_to_recordset($1::jsonb) AS given(id text, origin text, destination text, code text,
       failed_at bigint, misses integer, retry_at bigint, dead boolean, abandoned boolean, failed_there boolean)
     ON CONFLICT (id) DO UPDATE SET code = excluded.code, failed_at = excluded.failed_at, misses = excluded.misses,
       retry_at = excluded.retry_at, dead = excluded.dead, abandoned = excluded.abandoned,
       failed_there = excluded.failed_there`,
    [JSON.stringify(given)],
  );
}

/** Lanes with a failed message whose retry is due at a time (Unix milliseconds). */
export async function lanesWithDueRetries(from: Queryable, now: number): Promise<Lane[]> {
  return from.query<{ origin: string; destination: string }>(
    `SELECT DISTINCT f.origin, f.destination FROM relay_failures f JOIN relay_messages m USING (id)
      WHERE f.retry_at <= $1 AND m.status = 'failed'`,
    [now],
  );
}

/** Failed messages of a lane whose retry is due, those that wait longest first. */
export async function dueRetries(
  from: Queryable,
  lane: Lane,
  now: number,
  { except, limit }: { readonly except: readonly string[]; readonly limit: number },
): Promise<string[]> {
  const rows = await from.query<{ id: string }>(
    `SELECT f.id FROM relay_failures f JOIN relay_messages m USING (id)
      WHERE f.origin = $1 AND f.destination = $2 AND f.retry_at <= $3 AND m.status = 'failed' AND f.id <> ALL($4::text[])
      ORDER BY f.retry_at, f.id LIMIT $5`,
    [lane.origin, lane.destination, now, except, limit],
  );
  return rows.map(({ id }) => id);
}

export type FailureFilter = {
  readonly origin?: string | undefined;
  readonly destination?: string | undefined;
  /** When it failed, Unix milliseconds, both ends included. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
};

/** A message's place among those that failed, the oldest first. */
export type FailurePlace = { readonly id: string; readonly failedAt: bigint };

/** Messages that failed or were given up and that nobody has executed since, oldest first, after a place. */
export async function failedPlaces(
  from: Queryable,
  filter: FailureFilter,
  after: FailurePlace | undefined,
  limit: number,
): Promise<FailurePlace[]> {
  return from.query<FailurePlace>(
    `SELECT f.id, f.failed_at AS "failedAt" FROM relay_failures f JOIN relay_messages m USING (id)
      WHERE (m.status = 'failed' OR f.dead AND m.executed_block IS NULL AND NOT m.retry_running)
        AND m.status <> 'dropped'
        AND ($1::text IS NULL OR f.origin = $1) AND ($2::text IS NULL OR f.destination = $2)
        AND ($3::bigint IS NULL OR f.failed_at >= $3) AND ($4::bigint IS NULL OR f.failed_at <= $4)
        AND ($6::bigint IS NULL OR (f.failed_at, f.id) > ($6, $7::text))
      ORDER BY f.failed_at, f.id LIMIT $5`,
    [
      ...[filter.origin ?? null, filter.destination ?? null],
      ...[filter.from ?? null, filter.to ?? null, limit],
      ...[after?.failedAt ?? null, after?.id ?? null],
    ],
  );
}

/** Messages that wait for a transaction of their own: for their sending, or for the retry of this number. */
export async function pendingMessages(
  from: Queryable,
  after: string,
  limit: number,
): Promise<{ id: string; retry?: number }[]> {
  const rows = await from.query<{ id: string; retry_attempt: number | null; retry_running: boolean }>(
    `SELECT id, retry_attempt, retry_running FROM relay_messages
      WHERE (status = 'submitted' OR retry_running) AND id > $1 ORDER BY id LIMIT $2`,
    [after, limit],
  );
  return rows.map(({ id, retry_attempt: retry, retry_running }) =>
    retry_running && retry !== null ? { id, retry } : { id },
  );
}
