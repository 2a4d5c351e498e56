import type { Migration } from "../db/db.ts";

/** What is known of restores, of which the last one may still keep everything from being sent. */
export const restoreMigrations: readonly Migration[] = [
  {
    id: "restore/001-create",
    sql: `
      CREATE TABLE restores (
        place bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
        id text PRIMARY KEY,
        backup text NOT NULL,
        taken_at timestamptz NOT NULL,
        restored_at timestamptz NOT NULL,
        -- of the last event that the backup has, and the one after which new events come
        position bigint NOT NULL,
        resumes_after bigint NOT NULL,
        -- the hold ends only when an operator says so
        stays boolean NOT NULL,
        -- what the accounts did since the backup has been looked through
        scanned_at timestamptz,
        release_asked_by text,
        -- NULL while nothing may be sent
        ended_at timestamptz
      );
      -- Up to which height the blocks of a chain were looked through.
      CREATE TABLE restore_chains (
        restore text NOT NULL REFERENCES restores (id),
        chain text NOT NULL,
        height bigint NOT NULL,
        PRIMARY KEY (restore, chain)
      );`,
  },
];
