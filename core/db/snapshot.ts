import type { Queryable } from "./db.ts";
import { toDatabaseError } from "./failures.ts";
import type { PostgresDb } from "./postgres.ts";
import { runStatement } from "./statement.ts";

/**
 * Shows one moment of the database for as long as `work` takes, on a connection that may be silent meanwhile. Values come
 * in forms that do not depend on the server's settings. Whatever `work` writes, as far as it may, is taken back at the end.
 * `tables` keep the partitions that they have meanwhile: of one that is dropped, no snapshot shows the rows any more.
 */
export async function inSnapshot<T>(
  { pool }: PostgresDb,
  access: "READ ONLY" | "READ WRITE",
  tables: readonly string[],
  work: (from: Queryable) => Promise<T>,
): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    throw toDatabaseError(error);
  });
  const from: Queryable = {
    query: (text, params) =>
      runStatement<never>(client, text, params).catch((error: unknown) => {
        throw toDatabaseError(error);
      }),
  };
  let isGone = false;
  try {
    await from.query(`BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, ${access}`);
    await from.query(`SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO'; SET LOCAL bytea_output = 'hex';
                      SET LOCAL extra_float_digits = 1; SET LOCAL idle_in_transaction_session_timeout = 0`);
    // Before anything is read, as that is when the moment is chosen.
    if (tables.length > 0) await from.query(`LOCK TABLE ${tables.join(", ")} IN ACCESS SHARE MODE`);
    return await work(from);
  } finally {
    await client.query("ROLLBACK").catch(() => {
      isGone = true;
    });
    client.release(isGone);
  }
}
