import type pg from "pg";
import type { Queryable } from "./db.ts";
import type { Position } from "./position.ts";
import { runStatement } from "./statement.ts";

/** Which database somebody is connected to, and how far it is. */
export type Standing = {
  /** The same at a primary and its replicas, and at no other. */
  readonly cluster: string;
  /** This server since it was started. */
  readonly server: string;
  /** Whether it only follows another. */
  readonly isReplica: boolean;
  readonly position: Position;
};

type Row = { cluster: string; server: string; replica: boolean; log: string; event: bigint };

/**
 * Of a primary, everything that anybody can see is in the log up to its position: commits are flushed before they are seen,
 * unless the server was told otherwise. Of a replica, whoever asks afterwards sees everything up to it.
 */
const sql = `
  SELECT (SELECT system_identifier FROM pg_control_system())
           || '/' || (SELECT oid FROM pg_database WHERE datname = current_database()) AS cluster,
         concat_ws(' ', inet_server_addr(), inet_server_port(), pg_postmaster_start_time()) AS server,
         pg_is_in_recovery() AS replica,
         (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
               WHEN current_setting('synchronous_commit') = 'off' THEN pg_current_wal_insert_lsn()
               ELSE pg_current_wal_flush_lsn() END - '0/0')::text AS log,
         (SELECT position FROM event_counter) AS event`;

export async function readStanding(from: Queryable): Promise<Standing> {
  return standingOf(await from.query<Row>(sql));
}

export async function standingOfClient(client: pg.PoolClient): Promise<Standing> {
  return standingOf(await runStatement<Row>(client, sql, undefined));
}

function standingOf([row]: readonly Row[]): Standing {
  if (!row) throw new Error("a database did not say where it stands");
  const { cluster, server, replica, log, event } = row;
  return { cluster, server, isReplica: replica, position: { log: BigInt(log ?? 0), event } };
}
