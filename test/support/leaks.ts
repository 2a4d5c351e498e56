import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Queryable } from "#core/db/db.ts";

/** Where keys belong: the one folder that is not searched. */
export const keysFolder = "keys";

export type TextRow = { readonly table: string; readonly text: string };

/** Every row of every table, the queue's too, as text. */
export async function allRows(db: Queryable): Promise<TextRow[]> {
  const tables = await db.query<{ name: string }>(
    `select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('lockstep', 'bullmq')`,
  );
  assert.ok(tables.length > 10);
  const rows: TextRow[] = [];
  for (const { name } of tables) {
    const found = await db.query<{ text: string }>(`select t::text as text from ${name} t`);
    rows.push(...found.map(({ text }) => ({ table: name, text })));
  }
  return rows;
}

/** In no row and in no file below the folder, the database's own files and the logs included. */
export function assertNowhere(dataDir: string, rows: readonly TextRow[], forms: readonly (string | Buffer)[]): void {
  for (const form of forms) {
    if (typeof form === "string") {
      const low = form.toLowerCase();
      for (const { table, text } of rows) assert.ok(!text.toLowerCase().includes(low), `found in a row of ${table}`);
    }
    for (const file of filesBelow(dataDir)) assert.ok(!readFileSync(file).includes(form), `found in ${file}`);
  }
}

/** How a key would be spelled. */
export function formsOfKey(key: string): (string | Buffer)[] {
  const bytes = Buffer.from(key.replace(/^0x/, ""), "hex");
  return [bytes.toString("hex"), bytes, bytes.toString("base64").slice(0, 42)];
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === keysFolder ? [] : filesBelow(path);
    return entry.isFile() ? [path] : [];
  });
}
