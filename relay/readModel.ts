import type { Migration, Queryable, Tx } from "#core/db/db.ts";
import type { Projection, StoredEvent } from "#core/events/store.ts";
import { type MessageEvent, messageEvents, messageIdOf } from "./events.ts";
import { isLaneEvent, laneEvents } from "./laneEvents.ts";
import { evolveProgress } from "./progress.ts";
import { fromColumns, type MessageColumns, type MessageRow, toJsonRow } from "./rows.ts";
import { applyRun } from "./runs.ts";

/** Column and type, in the order of the table. */
const firstColumns = [
  ["id", "text"],
  ["version", "integer"],
  ["position", "bigint"],
  ["origin", "text"],
  ["destination", "text"],
  ["status", "text"],
  ["submitted", "boolean"],
  ["dropped", "boolean"],
  ["nonce", "bigint"],
  ["onchain_id", "text"],
  ["accumulator", "text"],
  ["gas_limit", "numeric"],
  ["payload_bytes", "integer"],
  ["sent_block", "bigint"],
  ["sent_final", "boolean"],
  ["attested", "boolean"],
  ["delivery_intent", "text"],
  ["delivery_attempt", "integer"],
  ["delivery_retry_at", "bigint"],
  ["failed_block", "bigint"],
  ["failed_final", "boolean"],
  ["executed_block", "bigint"],
  ["executed_final", "boolean"],
  ["retry_attempt", "integer"],
  ["retry_running", "boolean"],
] as const;
/** Those that came later, each by a migration of its own. */
const columns = [...firstColumns, ["outcome_id", "text"]] as const;
const names = columns.map(([name]) => name);
const needed = new Set(["id", "version", "position", "origin", "destination", "status"]);
const definitions = columns.map(([name, type]) => `${name} ${type}`);

export const messageMigrations: readonly Migration[] = [
  {
    id: "relay/001-messages",
    sql: `
      CREATE TABLE relay_messages (
        ${firstColumns.map(([name, type]) => `${name} ${type}${needed.has(name) || type === "boolean" ? " NOT NULL" : ""}`).join(", ")},
        PRIMARY KEY (id)
      );
      CREATE UNIQUE INDEX relay_messages_age ON relay_messages (position);
      CREATE INDEX relay_messages_onchain ON relay_messages (onchain_id);
      CREATE INDEX relay_messages_lane ON relay_messages (origin, destination, nonce);
      CREATE INDEX relay_messages_open ON relay_messages (origin, destination, nonce)
        WHERE nonce IS NOT NULL AND executed_block IS NULL AND failed_block IS NULL;
      CREATE INDEX relay_messages_unfinal_sent ON relay_messages (origin, sent_block)
        WHERE sent_block IS NOT NULL AND NOT sent_final;
      CREATE INDEX relay_messages_unfinal_executed ON relay_messages (destination, executed_block)
        WHERE executed_block IS NOT NULL AND NOT executed_final;
      CREATE INDEX relay_messages_unfinal_failed ON relay_messages (destination, failed_block)
        WHERE failed_block IS NOT NULL AND NOT failed_final;
    `,
  },
];

/**
 * The rows that the events build on; a stream that begins with them has none. Read after the events were appended:
 * whoever writes to these rows has waited for that, so nobody's change is lost.
 */
async function rowsBefore(tx: Tx, events: readonly StoredEvent[]): Promise<Map<string, MessageRow>> {
  const first = new Map<string, number>();
  for (const { stream, version } of events) {
    const id = messageIdOf(stream) ?? "";
    if (!first.has(id)) first.set(id, version);
  }
  return rowsByIds(
    tx,
    [...first].filter(([, version]) => version > 1).map(([id]) => id),
  );
}

/** Keeps a row per message: one read and one write for any number of events between two runs, and one for each run. */
export const messageProjection: Projection = {
  name: "messages",
  handles: [...Object.keys(messageEvents), ...Object.keys(laneEvents)],
  tables: ["relay_messages", "relay_runs"],
  async apply(tx, events) {
    let single: StoredEvent<MessageEvent>[] = [];
    for (const event of events) {
      if (!isLaneEvent(event)) {
        single.push(event as StoredEvent<MessageEvent>);
        continue;
      }
      await applySingle(tx, single);
      single = [];
      await applyRun(tx, event);
    }
    await applySingle(tx, single);
  },
};

async function applySingle(tx: Tx, events: readonly StoredEvent<MessageEvent>[]): Promise<void> {
  if (events.length === 0) return;
  const rows = await rowsBefore(tx, events);
  for (const event of events) {
    const id = messageIdOf(event.stream) ?? "";
    const before = rows.get(id);
    const progress = evolveProgress(before?.progress, event);
    rows.set(id, { id, version: event.version, position: before?.position ?? event.position, progress });
  }
  await save(tx, [...rows.values()]);
}

async function save(tx: Tx, rows: readonly MessageRow[]): Promise<void> {
  const changes = names.filter((name) => name !== "id" && name !== "position");
  await tx.query(
    `INSERT INTO relay_messages (${names.join(", ")})
     SELECT ${names.join(", ")} FROM jsonb_to_recordset($1::jsonb) AS given(${definitions.join(", ")})
     ON CONFLICT (id) DO UPDATE SET ${changes.map((name) => `${name} = excluded.${name}`).join(", ")}`,
    [JSON.stringify(rows.map(toJsonRow))],
  );
}

const selected = names.filter((name) => name !== "status").join(", ");

async function select(from: Queryable, rest: string, params: readonly unknown[]): Promise<MessageRow[]> {
  const rows = await from.query<MessageColumns>(`SELECT ${selected} FROM relay_messages ${rest}`, params);
  return rows.map(fromColumns);
}

export async function rowsByIds(from: Queryable, ids: readonly string[]): Promise<Map<string, MessageRow>> {
  const rows = ids.length === 0 ? [] : await select(from, "WHERE id = ANY($1)", [ids]);
  return new Map(rows.map((row) => [row.id, row]));
}

/** By the ids that messages have on both chains; those without a known message are absent. */
export async function rowsByOnchainIds(from: Queryable, ids: readonly string[]): Promise<Map<string, MessageRow>> {
  const rows = ids.length === 0 ? [] : await select(from, "WHERE onchain_id = ANY($1)", [ids]);
  return new Map(rows.flatMap((row) => (row.progress.sent ? [[row.progress.sent.onchainId, row] as const] : [])));
}

/** Messages with something above a height that is not final, sent or attempted, in the order of their nonces. */
export function unfinalRows(from: Queryable, chain: string, above: bigint): Promise<MessageRow[]> {
  const isUnfinal = (what: "sent" | "executed" | "failed") =>
    `(${what === "sent" ? "origin" : "destination"} = $1 AND ${what}_block > $2
      AND ${what}_block IS NOT NULL AND NOT ${what}_final)`;
  const condition = [isUnfinal("sent"), isUnfinal("executed"), isUnfinal("failed")].join(" OR ");
  return select(from, `WHERE ${condition} ORDER BY nonce`, [chain, above]);
}

/**
 * Messages of which something at the destination is final by a height that was not yet, and that are in no run: a first
 * attempt has failed, or the origin has taken them back.
 */
export function settledRows(from: Queryable, destination: string, height: bigint): Promise<MessageRow[]> {
  return select(
    from,
    `WHERE destination = $1 AND (failed_block IS NOT NULL OR nonce IS NULL) AND id IN (
       SELECT id FROM relay_messages WHERE destination = $1 AND failed_block <= $2
          AND failed_block IS NOT NULL AND NOT failed_final
       UNION ALL
       SELECT id FROM relay_messages WHERE destination = $1 AND executed_block <= $2
          AND executed_block IS NOT NULL AND NOT executed_final) ORDER BY nonce`,
    [destination, height],
  );
}

/** As `unfinalRows` above a height, final or not: for the rare chain that dropped final blocks. In no index's order. */
export function rowsAbove(from: Queryable, chain: string, height: bigint): Promise<MessageRow[]> {
  const condition =
    "(origin = $1 AND sent_block > $2) OR (destination = $1 AND (executed_block > $2 OR failed_block > $2))";
  return select(from, `WHERE ${condition} ORDER BY nonce`, [chain, height]);
}

/** Messages of a lane above a nonce that have no outcome and are not on their way, in order. */
export function waitingRows(
  from: Queryable,
  lane: { origin: string; destination: string },
  above: bigint,
  limit: number,
): Promise<MessageRow[]> {
  return select(
    from,
    `WHERE origin = $1 AND destination = $2 AND nonce > $3
       AND nonce IS NOT NULL AND executed_block IS NULL AND failed_block IS NULL
       AND (delivery_intent IS NULL OR delivery_retry_at IS NOT NULL) ORDER BY nonce LIMIT $4`,
    [lane.origin, lane.destination, above, limit],
  );
}

/** The messages of a delivery that have no outcome, from a nonce to another, both included, in order. */
export function flyingRows(
  from: Queryable,
  lane: { origin: string; destination: string },
  flight: { intentId: string; first: bigint; last: bigint },
): Promise<MessageRow[]> {
  return select(
    from,
    `WHERE origin = $1 AND destination = $2 AND nonce BETWEEN $3 AND $4 AND delivery_intent = $5
       AND nonce IS NOT NULL AND executed_block IS NULL AND failed_block IS NULL ORDER BY nonce`,
    [lane.origin, lane.destination, flight.first, flight.last, flight.intentId],
  );
}

/** Messages of a lane up to a nonce that were not executed; takes as long as the lane is. */
export function unexecutedRowsUpTo(
  from: Queryable,
  lane: { origin: string; destination: string },
  nonce: bigint,
): Promise<MessageRow[]> {
  return select(
    from,
    `WHERE origin = $1 AND destination = $2 AND nonce <= $3
       AND nonce IS NOT NULL AND executed_block IS NULL ORDER BY nonce`,
    [lane.origin, lane.destination, nonce],
  );
}

/** Messages from or to a chain, or of a lane, that something can still happen to without being asked for. */
export async function countUnfinished(
  from: Queryable,
  scope: { readonly chain: string } | { readonly origin: string; readonly destination: string },
): Promise<number> {
  const ends = "chain" in scope ? [scope.chain, scope.chain] : [scope.origin, scope.destination];
  const [row] = await from.query<{ count: number }>(
    `SELECT count(*)::integer AS count FROM relay_messages
      WHERE (origin = $1 ${"chain" in scope ? "OR" : "AND"} destination = $2)
        AND (nonce IS NOT NULL OR submitted AND NOT dropped)
        AND (executed_block IS NULL OR NOT executed_final) AND (failed_block IS NULL OR NOT failed_final)`,
    ends,
  );
  return row?.count ?? 0;
}

/** The place of a message in a lane, by nonce. */
export function rowsOfNonces(
  from: Queryable,
  lane: { origin: string; destination: string },
  nonces: readonly bigint[],
): Promise<MessageRow[]> {
  return select(from, "WHERE origin = $1 AND destination = $2 AND nonce = ANY($3::bigint[])", [
    lane.origin,
    lane.destination,
    nonces.map(String),
  ]);
}

/** The service's own id of a message, found by that id or by the on-chain one, archived or not. */
export async function findMessageId(from: Queryable, reference: string): Promise<string | undefined> {
  const [row] = await from.query<{ id: string }>(
    `SELECT id FROM relay_messages WHERE id = $1 UNION ALL SELECT id FROM relay_messages WHERE onchain_id = $1
     UNION ALL SELECT substr(stream, length('message-') + 1) FROM event_archive_keys WHERE kind = 'message' AND key = $1
     LIMIT 1`,
    [reference],
  );
  return row?.id;
}

export type ListFilter = {
  readonly origin?: string | undefined;
  readonly destination?: string | undefined;
  readonly status?: string | undefined;
  /** Only messages that were given up, or only others. */
  readonly deadLettered?: boolean | undefined;
  /** Only messages older than this position. */
  readonly before?: bigint | undefined;
  readonly limit: number;
};

/** A page of messages, newest first. */
export function listRows(from: Queryable, filter: ListFilter): Promise<MessageRow[]> {
  return select(
    from,
    `WHERE ($1::text IS NULL OR origin = $1) AND ($2::text IS NULL OR destination = $2)
       AND ($3::text IS NULL OR status = $3) AND ($4::bigint IS NULL OR position < $4)
       AND ($6::boolean IS NULL OR $6 = (executed_block IS NULL AND EXISTS (
         SELECT 1 FROM relay_failures AS f WHERE f.id = relay_messages.id AND f.dead)))
     ORDER BY position DESC LIMIT $5`,
    [
      filter.origin ?? null,
      filter.destination ?? null,
      filter.status ?? null,
      filter.before?.toString() ?? null,
      filter.limit,
      filter.deadLettered ?? null,
    ],
  );
}
