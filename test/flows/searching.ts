import { readFileSync } from "node:fs";
import pg from "pg";
import type { Hex } from "#core/kernel/codec.ts";
import type { TestNetwork } from "#test/support/network.ts";

/** The forms in which 32 bytes could lie somewhere. */
function formsOf(secret: Hex): string[] {
  const bytes = Buffer.from(secret.slice(2), "hex");
  const decimal = BigInt(secret).toString();
  return [secret.slice(2), bytes.toString("base64").slice(0, 42), bytes.toString("base64url").slice(0, 42), decimal];
}

/** Whether a text holds the secret in any form. */
export function holds(text: string, secret: Hex): boolean {
  const lower = text.toLowerCase();
  return formsOf(secret).some((form) => text.includes(form) || lower.includes(form));
}

/**
 * Where the secret can be read: every table of the service's database (binary columns as their hex), its log, and what
 * the API shows if it is asked. The names of the places; none when it is a secret still.
 */
export async function placesOf(secret: Hex, test: TestNetwork, paths: readonly string[] = []): Promise<string[]> {
  const places: string[] = [];
  const look = (place: string, text: string) => {
    if (holds(text, secret)) places.push(place);
  };
  look("log", readFileSync(test.network.layout.log("service"), "utf8"));
  for (const path of paths) look(path, await (await fetch(`${test.network.api}${path}`)).text());
  if (test.env.DATABASE_URL) for (const [table, text] of await dump(test.env.DATABASE_URL)) look(table, text);
  return places;
}

async function dump(connectionString: string): Promise<[string, string][]> {
  const client = new pg.Client({ connectionString });
  await client.connect();
  try {
    const tables = await client.query<{ name: string }>(
      `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
       WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
    );
    const texts: [string, string][] = [];
    for (const { name } of tables.rows) {
      const { rows } = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`);
      texts.push([name, rows.map(({ row }) => row).join("\n")]);
    }
    return texts;
  } finally {
    await client.end();
  }
}
