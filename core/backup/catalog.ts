import type { Queryable } from "../db/db.ts";
import { assertIdentifier } from "../db/identifier.ts";
import { invalid, type ManifestTable } from "./manifest.ts";

/** Every table of a schema; one with its partitions is one. */
export async function tablesOf(from: Queryable, schema: string): Promise<string[]> {
  const rows = await from.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY c.relname`,
    [schema],
  );
  return rows.map(({ name }) => name);
}

/** The columns of a table and their counters, as they are now. */
export async function describeTable(from: Queryable, schema: string, name: string): Promise<ManifestTable> {
  const columns = await from.query<{ column: string; type: string; counter: string | null }>(
    `SELECT a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
            pg_get_serial_sequence(format('%I.%I', n.nspname, c.relname), a.attname) AS counter
     FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    [schema, name],
  );
  const counters: ManifestTable["counters"] = [];
  for (const { column, counter } of columns) {
    if (counter === null) continue;
    const [now] = await from.query<{ last: bigint; given: boolean }>(
      `SELECT last_value AS last, is_called AS given FROM ${counter}`,
    );
    if (now) counters.push({ column, ...now });
  }
  return { name, columns: columns.map(({ column, type }) => [column, type]), counters };
}

/** The columns' names, as they are written in a statement. */
export const columnsOf = ({ columns }: ManifestTable): string[] => columns.map(([name]) => assertIdentifier(name));

/** Types are put into statements: only what a type can be called gets there. */
export function assertType(type: string): string {
  if (/^[a-z][a-z0-9_ ]*(\([0-9, ]+\))?(\[\])?$/.test(type)) return type;
  throw invalid(`a backup has no column of the type ${type.slice(0, 60)}`);
}
