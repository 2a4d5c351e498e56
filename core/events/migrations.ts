import type { Migration } from "../db/db.ts";
import { partitionSpan } from "./partitionOf.ts";

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
  {
    // The table there was is the first partition as it is. No row is copied, but each is looked at once, while nobody
    // else reads or writes.
    id: "events/002-partitions",
    sql: `
      ALTER TABLE events RENAME TO events_0;
      ALTER TABLE events_0 RENAME CONSTRAINT events_pkey TO events_0_pkey;
      ALTER TABLE events_0 RENAME CONSTRAINT events_stream_version TO events_0_stream_version;
      CREATE TABLE events (
        position bigint PRIMARY KEY,
        stream text NOT NULL,
        version integer NOT NULL CONSTRAINT events_version_check CHECK (version > 0),
        type text NOT NULL,
        data jsonb NOT NULL,
        at timestamptz NOT NULL
      ) PARTITION BY RANGE (position);
      ALTER TABLE events ATTACH PARTITION events_0 FOR VALUES FROM (MINVALUE) TO (${partitionSpan});
      -- When each partition was first written to, and when the last time; the first holds what is left of older ones.
      CREATE TABLE event_partitions (
        place bigint PRIMARY KEY,
        opened_at timestamptz NOT NULL,
        closed_at timestamptz
      );
      INSERT INTO event_partitions (place, opened_at)
      SELECT 0, coalesce((SELECT at FROM events_0 ORDER BY position LIMIT 1), now());
      -- Rises whenever streams leave: who looked at versions before that looks again.
      ALTER TABLE event_counter ADD COLUMN archivals bigint NOT NULL DEFAULT 0;
      -- Events up to here may have left; after it, all are kept.
      CREATE TABLE event_kept (
        one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
        after bigint NOT NULL
      );
      INSERT INTO event_kept (after) VALUES (0);
      -- Streams that have left: where each of them is, for ever. None of these names begins again.
      CREATE TABLE event_archive (
        stream text PRIMARY KEY,
        kind text NOT NULL,
        -- position of its first event
        place bigint NOT NULL,
        file bigint NOT NULL,
        -- of its bytes in the file, and of its line in what these decompress to
        part_start bigint NOT NULL,
        part_length integer NOT NULL,
        line_start integer NOT NULL,
        line_length integer NOT NULL,
        sha256 text NOT NULL
      );
      CREATE UNIQUE INDEX event_archive_place ON event_archive (kind, place);
      CREATE INDEX event_archive_file ON event_archive (file);
      -- What else those are found by; where several have one key, that of the lowest rank is meant.
      CREATE TABLE event_archive_keys (
        kind text NOT NULL,
        key text NOT NULL,
        rank smallint NOT NULL,
        stream text NOT NULL,
        PRIMARY KEY (kind, key, rank)
      );
      -- What a unique index says of one partition, of all at once. Counts up to a position that the caller's lock makes final.
      CREATE FUNCTION assert_first_versions(streams text[], firsts integer[], upto bigint)
      RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
          IF EXISTS (
            SELECT 1 FROM unnest(streams, firsts) AS first (stream, version)
              LEFT JOIN LATERAL (
                SELECT e.version FROM events e WHERE e.stream = first.stream AND e.position <= upto
                 ORDER BY e.version DESC LIMIT 1
              ) AS last ON true
              LEFT JOIN event_archive AS gone ON gone.stream = first.stream
             WHERE first.version <> coalesce(last.version, 0) + 1 OR gone.stream IS NOT NULL
          ) THEN
            RAISE unique_violation USING
              MESSAGE = 'a stream has another version than expected', CONSTRAINT = 'events_stream_version';
          END IF;
        END
      $$;
    `,
  },
];
