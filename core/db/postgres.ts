import { AsyncLocalStorage } from "node:async_hooks";
import type pg from "pg";
import { type Clock, systemClock } from "../kernel/clock.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { Log } from "../observe/log.ts";
import type { Db, Tx } from "./db.ts";
import { isTransient, toDatabaseError } from "./failures.ts";
import { createListener } from "./listener.ts";
import { createPool, type PoolOptions } from "./pool.ts";
import { runStatement } from "./statement.ts";
import { openTransaction } from "./transaction.ts";

/** The port over `pg`, with the pool for libraries that bring their own SQL, and the schema its tables live in. */
export type PostgresDb = Db & { readonly pool: pg.Pool; readonly schema: string };

export type DbOptions = {
  readonly connectionString: string;
  readonly log: Log;
  /** Where this project's tables live; the search path of every connection. */
  readonly schema?: string;
  readonly poolSize?: number;
  /** After so many milliseconds a process that hangs inside a transaction loses it, and what it had locked. */
  readonly idleInTransactionMs?: number;
  readonly clock?: Clock;
};

const txAttempts = 6;

/**
 * PostgreSQL 15 or later, or the embedded database. Opens no connection until it is used. A lost connection fails
 * what was running on it with `database-unreachable`; later calls get a new one. After a failed COMMIT the outcome is
 * unknown, so it is not retried here. Serialization failures and deadlocks that persist end as `conflict`.
 */
export function createDb(options: DbOptions): PostgresDb {
  const { log, schema = "lockstep", clock = systemClock } = options;
  const poolOptions: PoolOptions = {
    connectionString: options.connectionString,
    schema,
    log,
    max: options.poolSize ?? 10,
    ...(options.idleInTransactionMs !== undefined && { idleInTransactionMs: options.idleInTransactionMs }),
  };
  const pool = createPool(poolOptions);
  const listener = createListener({ options: { ...poolOptions, name: "lockstep listener" }, log, clock });
  const inside = new AsyncLocalStorage<{ open: boolean }>();

  const assertOutside = () => {
    if (!inside.getStore()?.open) return;
    throw new LockstepError(
      "database-rule",
      "Inside a transaction only that transaction may be used, not the database",
    );
  };

  return {
    pool,
    schema,
    async query<Row extends object>(text: string, params?: readonly unknown[]) {
      assertOutside();
      try {
        return await runStatement<Row>(pool, text, params);
      } catch (error) {
        throw toDatabaseError(error);
      }
    },
    async tx<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
      assertOutside();
      for (let attempt = 1; ; attempt++) {
        try {
          return await runTransaction(pool, log, work, inside);
        } catch (error) {
          if (!isTransient(error)) throw toDatabaseError(error);
          if (attempt >= txAttempts) {
            throw new LockstepError("conflict", "The transaction met others at every attempt", { cause: error });
          }
          await clock.sleep(Math.random() * 2 ** attempt * 5);
        }
      }
    },
    async listen(channel, onNotify) {
      assertOutside();
      return listener.listen(channel, onNotify);
    },
    async close() {
      await listener.close();
      if (!pool.ending) await pool.end();
    },
  };
}

async function runTransaction<T>(
  pool: pg.Pool,
  log: Log,
  work: (tx: Tx) => Promise<T>,
  inside: AsyncLocalStorage<{ open: boolean }>,
): Promise<T> {
  const client = await pool.connect();
  const transaction = openTransaction(client);
  const scope = { open: true };
  let value: T;
  try {
    await client.query("BEGIN");
    value = await inside.run(scope, () => work(transaction.tx));
    scope.open = false;
    await transaction.settle();
    const { command } = await client.query("COMMIT");
    // A transaction with a failed statement answers COMMIT with a quiet ROLLBACK.
    if (command !== "COMMIT") throw new LockstepError("internal", "A statement failed and its error was swallowed");
  } catch (error) {
    scope.open = false;
    await transaction.settle();
    client.release(!(await rolledBack(client)));
    throw error;
  }
  client.release();
  transaction.committed((error) => log.error({ err: error }, "after-commit hook failed"));
  return value;
}

/** False when the connection is of no use any more. */
async function rolledBack(client: pg.PoolClient): Promise<boolean> {
  try {
    await client.query("ROLLBACK");
    return true;
  } catch {
    return false;
  }
}
