import type { Tracing } from "../observe/tracing.ts";
import type { Db } from "./db.ts";

/** Tells of what is asked of the database while something that is traced is worked for; never of values. */
export function tracedDb<D extends Db>(db: D, { around }: Pick<Tracing, "around">): D {
  return {
    ...db,
    query: (text: string, params?: readonly unknown[]) =>
      around("db.query", { "db.query.summary": summaryOf(text) }, () => db.query(text, params)),
    tx: <T>(work: Parameters<typeof db.tx<T>>[0]) => around("db.transaction", {}, () => db.tx(work)),
  };
}

/** What a statement does and to which table first. */
function summaryOf(text: string): string {
  const [verb = ""] = text.trimStart().split(/\s/, 1);
  const [, table] = /\b(?:from|into|update|join)\s+([a-z_]+)\b(?!\()/i.exec(text) ?? [];
  return table === undefined ? verb.toUpperCase() : `${verb.toUpperCase()} ${table}`;
}
