import type pg from "pg";
import type { World } from "../relay/world.ts";

export async function storedMessages(client: pg.Client): Promise<number> {
  const { rows } = await client.query<{ count: string }>("SELECT count(*) FROM relay_messages");
  return Number(rows[0]?.count);
}

/**
 * Makes delivered messages of another lane out of those that are there, as if they had been carried before: with their
 * events and their rows. The service stands meanwhile, and has read all events when it goes on.
 */
export async function cloneMessages(client: pg.Client, { network }: World, count: number): Promise<void> {
  await network.service.stop();
  try {
    await client.query("BEGIN");
    const { rows } = await client.query<{ base: string; nonce: string }>(
      `SELECT (SELECT position FROM event_counter) AS base,
              (SELECT coalesce(max(nonce), 0) FROM relay_messages WHERE origin = 'past') AS nonce`,
    );
    const values = [rows[0]?.base, rows[0]?.nonce, count];
    await client.query(
      `CREATE TEMP TABLE copies ON COMMIT DROP AS
         WITH kind AS (SELECT m.id, row_number() OVER (ORDER BY m.position) AS k
                         FROM relay_messages m WHERE m.status = 'delivered' AND m.origin <> 'past' ORDER BY m.position LIMIT 5000)
         SELECT kind.id, gen_random_uuid()::text AS copy, n, $1::bigint + n AS position, $2::bigint + n AS nonce
           FROM generate_series(1, $3::bigint) AS n JOIN kind ON kind.k = 1 + n % (SELECT count(*) FROM kind)`,
      values,
    );
    const columns = await columnsOf(client, "relay_messages");
    const own: Record<string, string> = {
      ...{ id: "c.copy", position: "c.position", origin: "'past'", nonce: "c.nonce" },
      onchain_id: "'0x' || encode(sha256(c.copy::bytea), 'hex')",
    };
    await client.query(
      `INSERT INTO events (position, stream, version, type, data, at)
       SELECT c.position, 'message-' || c.copy, e.version, e.type, e.data, e.at
         FROM copies c JOIN events e ON e.stream = 'message-' || c.id AND e.version = 1`,
    );
    await client.query(
      `INSERT INTO relay_messages (${columns.join(", ")})
       SELECT ${columns.map((name) => own[name] ?? `m.${name}`).join(", ")} FROM copies c JOIN relay_messages m ON m.id = c.id`,
    );
    await client.query("UPDATE event_counter SET position = position + $1", [count]);
    await client.query("UPDATE event_subscriptions SET position = (SELECT position FROM event_counter)");
    await client.query("COMMIT");
    await client.query("VACUUM ANALYZE events");
    await client.query("VACUUM ANALYZE relay_messages");
  } finally {
    await network.service.start();
  }
}

async function columnsOf(client: pg.Client, table: string): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `SELECT column_name AS name FROM information_schema.columns
      WHERE table_schema = 'lockstep' AND table_name = $1 AND is_generated = 'NEVER'`,
    [table],
  );
  return rows.map(({ name }) => name);
}
