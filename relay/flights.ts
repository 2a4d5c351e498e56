import type { Migration, Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";

export const flightMigrations: readonly Migration[] = [
  {
    id: "relay/022-flights",
    sql: `
      -- A lane has few flights, however long its backlog and its history are: every look at it reads them all.
      CREATE INDEX relay_messages_flying ON relay_messages (origin, destination, nonce)
        WHERE delivery_intent IS NOT NULL AND delivery_retry_at IS NULL
          AND nonce IS NOT NULL AND executed_block IS NULL AND failed_block IS NULL;
    `,
  },
];

/** A delivery that was started and has no outcome yet, and the part of the lane that it brings. */
export type Flight = {
  readonly intentId: string;
  /** Nonces of its first and of its last message without an outcome. */
  readonly first: bigint;
  readonly last: bigint;
  readonly messages: number;
  /** Of the lane at its last message. */
  readonly accumulator: Hex;
};

type FlightColumns = { intent: string; first: bigint; last: bigint; messages: number; accumulator: Hex };

/** The deliveries of messages above a nonce, in the lane's order. */
export async function flightsOf(
  from: Queryable,
  { origin, destination }: { origin: string; destination: string },
  above: bigint,
): Promise<Flight[]> {
  const rows = await from.query<FlightColumns>(
    `SELECT delivery_intent AS intent, min(nonce) AS first, max(nonce) AS last, count(*)::integer AS messages,
            (array_agg(accumulator ORDER BY nonce DESC))[1] AS accumulator
       FROM relay_messages
      WHERE origin = $1 AND destination = $2 AND nonce > $3
        AND nonce IS NOT NULL AND executed_block IS NULL AND failed_block IS NULL
        AND delivery_intent IS NOT NULL AND delivery_retry_at IS NULL
      GROUP BY delivery_intent ORDER BY first`,
    [origin, destination, above],
  );
  return rows.map(({ intent, ...flight }) => ({ ...flight, intentId: intent }));
}

/**
 * Where the lane will stand once all flights have arrived whose messages come before `next`: undefined when these are not
 * all that is missing between the head and `next`.
 */
export function ahead(flights: readonly Flight[], head: bigint, next: bigint): { readonly last?: Flight } | undefined {
  const before = flights.filter(({ first }) => first < next);
  let reached = head;
  for (const { first, last, messages } of before) {
    if (first !== reached + 1n || last - first + 1n !== BigInt(messages)) return undefined;
    reached = last;
  }
  const last = before.at(-1);
  return reached + 1n === next ? { ...(last && { last }) } : undefined;
}
