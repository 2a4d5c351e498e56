import pg from "pg";

const int8 = 20;
const int8Array = 1016;

type GetTypeParser = typeof pg.types.getTypeParser;
type Runner = { query(config: pg.QueryConfig): Promise<pg.QueryResult | pg.QueryResult[]> };

/** int8 as bigint; everything else as `pg` has it (numeric as text, json parsed, timestamptz as Date). */
const getTypeParser: GetTypeParser = (oid: number, format?: "text" | "binary") => {
  if (format === "binary") return pg.types.getTypeParser(oid, format);
  if (oid === int8) return (text: string) => BigInt(text);
  const parse = pg.types.getTypeParser(oid, "text");
  if (oid === int8Array)
    return (text: string) => (parse(text) as (string | null)[]).map((v) => (v === null ? v : BigInt(v)));
  return parse;
};

/**
 * Runs one unnamed statement, or several without parameters (then the rows are those of the last). Named statements
 * would collide in the embedded database, whose connections share one session.
 */
export async function runStatement<Row extends object>(
  runner: Runner,
  text: string,
  params: readonly unknown[] | undefined,
): Promise<Row[]> {
  const result = await runner.query({ text, values: [...(params ?? [])], types: { getTypeParser } });
  const last = Array.isArray(result) ? result.at(-1) : result;
  return (last?.rows ?? []) as Row[];
}
