/** What SQL runs on: one transaction, or the pool. Rows come back as plain objects, int8 and numeric as bigint/string. */
export type Queryable = {
  query<Row extends object = Record<string, unknown>>(text: string, params?: readonly unknown[]): Promise<Row[]>;
};

/** One open transaction. Everything inside `Db.tx` uses this and nothing else. */
export type Tx = Queryable & {
  readonly kind: "tx";
  /** Runs once after the commit, never after a rollback. Must not throw; for waking up loops, not for effects. */
  afterCommit(hook: () => void): void;
};

/**
 * The database port. Inside a transaction only that transaction's connection is used, and nothing is awaited but the
 * database: `query` or `tx` called on the `Db` from inside a `tx` callback throws.
 */
export type Db = Queryable & {
  /** Commits when `work` resolves, rolls back when it throws. Serialization failures and deadlocks are retried. */
  tx<T>(work: (tx: Tx) => Promise<T>): Promise<T>;
  /** Calls back for every NOTIFY on the channel from any process; returns the way to stop. */
  listen(channel: string, onNotify: (payload: string) => void): Promise<() => Promise<void>>;
  close(): Promise<void>;
};

/** Statements that bring the schema up to date, applied once each, in order, by id. */
export type Migration = { readonly id: string; readonly sql: string };
