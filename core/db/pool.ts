import pg from "pg";
import type { Log } from "../observe/log.ts";
import { assertIdentifier } from "./identifier.ts";

export type PoolOptions = {
  readonly connectionString: string;
  /** Schema that unqualified names live in. */
  readonly schema: string;
  readonly log: Log;
  /** Most connections at once. */
  readonly max?: number;
  /** Name shown in pg_stat_activity. */
  readonly name?: string;
  /** After so many milliseconds a holder of locks that stops talking loses its transaction. */
  readonly idleInTransactionMs?: number;
  /** For a replica: should it be one no more, nothing is written there all the same. */
  readonly readOnly?: boolean;
};

const connectTimeoutMs = 30_000;

/** How this project connects: the same for PostgreSQL and for the embedded database. */
export function clientConfig(options: PoolOptions): pg.ClientConfig {
  assertIdentifier(options.schema);
  const { connectionString, serverOptions } = splitServerOptions(options.connectionString);
  return {
    connectionString,
    application_name: options.name ?? "lockstep",
    options: [
      ...serverOptions,
      `-c search_path=${options.schema}`,
      `-c idle_in_transaction_session_timeout=${options.idleInTransactionMs ?? 60_000}`,
      ...(options.readOnly ? ["-c default_transaction_read_only=on"] : []),
    ].join(" "),
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    connectionTimeoutMillis: connectTimeoutMs,
  };
}

/**
 * A plain `pg` pool with the search path set. Lost connections are replaced on the next use; errors of idle ones are
 * logged and never thrown. Start-up options are needed, so a connection pooler in between must let them through.
 */
export function createPool(options: PoolOptions): pg.Pool {
  const pool = new pg.Pool({ ...clientConfig(options), max: options.max ?? 10, idleTimeoutMillis: 30_000 });
  const onLost = (error: Error) => options.log.warn({ err: error }, "database connection lost");
  pool.on("error", onLost);
  // A client that is checked out has no error listener of the pool's, and an unheard `error` ends the process.
  pool.on("connect", (client) => client.on("error", () => undefined));
  return pool;
}

/** `pg` lets `options` of the URL replace those of the configuration; ours are added instead. */
function splitServerOptions(connectionString: string): { connectionString: string; serverOptions: string[] } {
  const url = URL.parse(connectionString);
  const given = url?.searchParams.get("options");
  if (!url || !given) return { connectionString, serverOptions: [] };
  url.searchParams.delete("options");
  return { connectionString: url.href, serverOptions: [given] };
}
