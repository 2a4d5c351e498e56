import type { Migration } from "../db/db.ts";

/** Tables of the event store and its subscriptions. */
export const eventMigrations: readonly Migration[] = [
  {
    id: "events/001-create",
    sql: `
      CREATE TABLE events (
        position bigint PRIMARY KEY,
        stream text NOT NULL,
        version integer NOT NULL CHECK (version > 0),
        type text NOT NULL,
        data jsonb NOT NULL,
        at timestamptz NOT NULL,
        CONSTRAINT events_stream_version UNIQUE (stream, version)
      );
      CREATE TABLE event_counter (
        one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
        position bigint NOT NULL
      );
      INSERT INTO event_counter (position) VALUES (0);
      CREATE TABLE event_subscriptions (
        name text PRIMARY KEY,
        position bigint NOT NULL
      );
    `,
  },
];
