import type { Migration, Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type Lane, laneName } from "./lane.ts";
import { emptyAccumulator } from "./protocol/message.ts";
import type { LaneTrouble } from "./view.ts";

export const laneMigrations: readonly Migration[] = [
  {
    id: "relay/002-lanes",
    sql: `
      -- What holds a lane up and when it is tried again: for people and the scheduler, not derived from events.
      CREATE TABLE relay_lane_troubles (
        lane text PRIMARY KEY, code text NOT NULL, detail text NOT NULL, misses integer NOT NULL, due_at timestamptz NOT NULL
      );
      CREATE INDEX relay_lane_troubles_due ON relay_lane_troubles (due_at);
    `,
  },
];

export type LaneHead = { readonly nonce: bigint; readonly accumulator: Hex };

/** The newest message seen of each lane from one origin; nonce 0 where there is none. By destination. */
export async function seenHeads(
  from: Queryable,
  origin: string,
  destinations: readonly string[],
): Promise<Map<string, LaneHead>> {
  const rows = await from.query<{ destination: string; nonce: bigint; accumulator: Hex }>(
    `SELECT wanted.destination, newest.nonce, newest.accumulator
       FROM unnest($2::text[]) AS wanted(destination)
       CROSS JOIN LATERAL (
         SELECT nonce, accumulator FROM relay_messages AS m
          WHERE m.origin = $1 AND m.destination = wanted.destination AND nonce IS NOT NULL
          ORDER BY nonce DESC LIMIT 1
       ) AS newest`,
    [origin, destinations],
  );
  const heads = new Map<string, LaneHead>(
    destinations.map((destination) => [destination, { nonce: 0n, accumulator: emptyAccumulator }]),
  );
  for (const { destination, nonce, accumulator } of rows) heads.set(destination, { nonce, accumulator });
  return heads;
}

export type LaneFigures = {
  readonly seen: bigint;
  readonly finalized: bigint;
  readonly attested: bigint;
  readonly delivered: bigint;
  readonly backlog: number;
};

/** How far a lane has come; costs as much as its backlog is long. */
export async function laneFigures(from: Queryable, lane: Lane): Promise<LaneFigures> {
  const seen = (await seenHeads(from, lane.origin, [lane.destination])).get(lane.destination)?.nonce ?? 0n;
  const [row] = await from.query<Record<"first" | "unfinal" | "unattested", bigint | null> & { backlog: number }>(
    `SELECT count(*)::integer AS backlog, min(nonce) AS first,
            min(nonce) FILTER (WHERE NOT sent_final) AS unfinal, min(nonce) FILTER (WHERE NOT attested) AS unattested
       FROM relay_messages
      WHERE origin = $1 AND destination = $2 AND nonce IS NOT NULL AND executed_block IS NULL AND failed_block IS NULL`,
    [lane.origin, lane.destination],
  );
  const before = (nonce: bigint | null | undefined) => (nonce ? nonce - 1n : seen);
  return {
    seen,
    finalized: before(row?.unfinal),
    attested: before(row?.unattested),
    delivered: before(row?.first),
    backlog: row?.backlog ?? 0,
  };
}

/** The intent that the lane's first message without an outcome was last sent with, if there is one. */
export async function headIntent(from: Queryable, { origin, destination }: Lane): Promise<string | undefined> {
  const [row] = await from.query<{ intent: string | null }>(
    `SELECT delivery_intent AS intent FROM relay_messages
      WHERE origin = $1 AND destination = $2 AND nonce IS NOT NULL AND executed_block IS NULL AND failed_block IS NULL
      ORDER BY nonce LIMIT 1`,
    [origin, destination],
  );
  return row?.intent ?? undefined;
}

/** Which of the lanes have final messages without an outcome. */
export async function lanesWithBacklog<L extends Lane>(from: Queryable, lanes: readonly L[]): Promise<L[]> {
  const rows = await from.query<{ place: number }>(
    `SELECT wanted.place::integer AS place
       FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted(origin, destination, place)
      WHERE EXISTS (
        SELECT 1 FROM relay_messages AS m
         WHERE m.origin = wanted.origin AND m.destination = wanted.destination AND m.sent_final
           AND m.nonce IS NOT NULL AND m.executed_block IS NULL AND m.failed_block IS NULL)`,
    [lanes.map(({ origin }) => origin), lanes.map(({ destination }) => destination)],
  );
  return rows.flatMap(({ place }) => lanes[place - 1] ?? []);
}

/** Notes what holds a lane up, once more in a row; returns nothing. */
export async function noteTrouble(to: Queryable, lane: Lane, trouble: LaneTrouble): Promise<void> {
  await to.query(
    `INSERT INTO relay_lane_troubles (lane, code, detail, misses, due_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (lane) DO UPDATE SET code = $2, detail = $3, misses = $4, due_at = $5`,
    [laneName(lane), trouble.code, trouble.detail, trouble.misses, trouble.dueAt],
  );
}

export async function clearTrouble(to: Queryable, lane: Lane): Promise<void> {
  await to.query("DELETE FROM relay_lane_troubles WHERE lane = $1", [laneName(lane)]);
}

export type StoredTrouble = LaneTrouble & { readonly lane: string };

export async function troubles(from: Queryable): Promise<Map<string, StoredTrouble>> {
  const rows = await from.query<{ lane: string; code: string; detail: string; misses: number; due_at: Date }>(
    "SELECT lane, code, detail, misses, due_at FROM relay_lane_troubles",
  );
  return new Map(rows.map(({ due_at: dueAt, ...rest }) => [rest.lane, { ...rest, dueAt }]));
}
