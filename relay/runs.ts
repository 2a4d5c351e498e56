import type { Migration, Queryable, Tx } from "#core/db/db.ts";
import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Lane, laneName } from "./lane.ts";
import type { LaneEvent, Run } from "./laneEvents.ts";

export const runMigrations: readonly Migration[] = [
  {
    id: "relay/005-runs",
    sql: `
      -- Which events of a lane are about which of its messages.
      CREATE TABLE relay_runs (
        position bigint PRIMARY KEY, origin text NOT NULL, destination text NOT NULL, nonces int8range NOT NULL
      );
      CREATE INDEX relay_runs_nonces ON relay_runs USING gist (nonces);
    `,
  },
];

/**
 * Writes what a run's event changes of its messages, in one statement whatever their number. The changes are those that
 * `evolveProgress` makes at the implied events; `test/relay/runs.test.ts` holds the two against each other.
 */
export async function applyRun(tx: Tx, event: StoredEvent<LaneEvent>): Promise<void> {
  const { origin, destination, firstNonce, lastNonce } = event.data;
  const lane = [origin, destination, firstNonce.toString(), lastNonce.toString(), event.position.toString()];
  switch (event.type) {
    case "MessagesFinalized":
      await tx.query(
        `${noted} UPDATE relay_messages SET sent_final = true, status = CASE status WHEN 'sent' THEN 'final' ELSE status END
          WHERE ${inRun} AND NOT sent_final`,
        lane,
      );
      return;
    case "DeliveriesStarted": {
      const started = await tx.query<{ count: bigint }>(
        `${noted}, started AS (
           UPDATE relay_messages SET status = 'delivering', attested = true,
                  delivery_intent = $6, delivery_attempt = $7, delivery_retry_at = NULL
            WHERE ${inRun} AND ${waits} RETURNING 1)
         SELECT count(*) AS count FROM started`,
        [...lane, event.data.intentId, event.data.attempt],
      );
      if (started[0]?.count !== lastNonce - firstNonce + 1n && !(await isReplayed(tx, event)))
        throw changed(event.data);
      return;
    }
    case "MessagesDelivered": {
      const { accumulator, blockNumber } = event.data;
      const delivered = await tx.query<{ count: bigint }>(
        `${noted}, delivered AS (
           UPDATE relay_messages
              SET status = 'delivered', executed_block = $6, executed_final = false, retry_running = false
            WHERE ${inRun} AND ($7::text IS NULL OR ${replayed("$5")} OR EXISTS (
              SELECT 1 FROM relay_messages WHERE origin = $1 AND destination = $2 AND nonce = $4 AND accumulator = $7))
            RETURNING 1)
         SELECT count(*) AS count FROM delivered`,
        [...lane, blockNumber.toString(), accumulator ?? null],
      );
      // The accumulator is that of one chain of ids: with it, all the messages are those that were meant.
      const isWhole = delivered[0]?.count === lastNonce - firstNonce + 1n;
      if (accumulator !== undefined && !isWhole && !(await isReplayed(tx, event))) throw changed(event.data);
      return;
    }
    case "DeliveriesFinalized":
      await tx.query(
        `${noted} UPDATE relay_messages SET executed_final = true WHERE ${inRun} AND executed_block IS NOT NULL`,
        lane,
      );
  }
}

/**
 * Of an event that is written anew a read model rests on nothing that has left. One of the time of what has left was
 * right when it was written, and the messages of the run that are still here are those that it meant.
 */
const replayed = (position: string) => `EXISTS (SELECT 1 FROM event_kept WHERE after >= ${position})`;

async function isReplayed(tx: Tx, { position }: StoredEvent): Promise<boolean> {
  const [row] = await tx.query<{ is: boolean }>(`SELECT ${replayed("$1::bigint")} AS is`, [position]);
  return row?.is === true;
}

const inRun = "origin = $1 AND destination = $2 AND nonce BETWEEN $3 AND $4";
/** Runs with the change, in one round trip. */
const noted = `WITH noted AS (
  INSERT INTO relay_runs (position, origin, destination, nonces) VALUES ($5, $1, $2, int8range($3, $4, '[]')))`;

/** Final, without an outcome, and in no delivery that is on its way. */
const waits = `sent_final AND executed_block IS NULL AND failed_block IS NULL
  AND (delivery_intent IS NULL OR delivery_retry_at IS NOT NULL)`;

const changed = (run: Run) =>
  new LockstepError("conflict", "a message of the delivery has changed meanwhile", {
    details: { lane: laneName(run), first: run.firstNonce, last: run.lastNonce },
  });

type RunRow = Lane & { first: bigint; last: bigint };

const toRun = ({ origin, destination, first, last }: RunRow): Run => ({
  ...{ origin, destination },
  ...{ firstNonce: first, lastNonce: last },
});

const runColumns = "origin, destination, min(nonce) AS first, max(nonce) AS last";
/** Nonces without a gap have the same distance from their number in the list. */
const island = "nonce - row_number() OVER (PARTITION BY origin, destination ORDER BY nonce) AS island";

/** Messages whose block at the origin is final by a height, and that were not yet. */
export async function runsSent(from: Queryable, origin: string, height: bigint): Promise<Run[]> {
  const rows = await from.query<RunRow>(
    `SELECT ${runColumns} FROM (
       SELECT origin, destination, nonce, ${island} FROM relay_messages
        WHERE origin = $1 AND sent_block <= $2 AND sent_block IS NOT NULL AND NOT sent_final) AS sent
      GROUP BY origin, destination, island ORDER BY first`,
    [origin, height.toString()],
  );
  return rows.map(toRun);
}

/** Messages executed at once in a block of the destination that is final by a height, and was not yet. */
export async function runsExecuted(from: Queryable, destination: string, height: bigint): Promise<Run[]> {
  const rows = await from.query<RunRow>(
    `SELECT ${runColumns} FROM (
       SELECT origin, destination, nonce, ${island} FROM relay_messages
        WHERE destination = $1 AND executed_block <= $2 AND executed_block IS NOT NULL AND NOT executed_final
          AND failed_block IS NULL AND nonce IS NOT NULL) AS executed
      GROUP BY origin, destination, island ORDER BY first`,
    [destination, height.toString()],
  );
  return rows.map(toRun);
}

/**
 * The lane's accumulator at the last of these messages, where they are those from a nonce on and none has an outcome or
 * is being retried; otherwise undefined.
 */
export async function untouchedAccumulator(
  from: Queryable,
  lane: Lane,
  firstNonce: bigint,
  onchainIds: readonly string[],
): Promise<Hex | undefined> {
  const lastNonce = firstNonce + BigInt(onchainIds.length) - 1n;
  const [row] = await from.query<{ count: bigint; accumulator: Hex | null }>(
    `SELECT count(*) AS count, max(m.accumulator) FILTER (WHERE m.nonce = $5) AS accumulator FROM relay_messages AS m
       JOIN unnest($4::text[]) WITH ORDINALITY AS given(id, place) ON m.nonce = $3 + given.place - 1 AND m.onchain_id = given.id
      WHERE m.origin = $1 AND m.destination = $2 AND m.nonce BETWEEN $3 AND $5
        AND m.executed_block IS NULL AND m.failed_block IS NULL AND NOT m.retry_running`,
    [lane.origin, lane.destination, firstNonce.toString(), onchainIds, lastNonce.toString()],
  );
  return row?.count === BigInt(onchainIds.length) ? (row.accumulator ?? undefined) : undefined;
}
