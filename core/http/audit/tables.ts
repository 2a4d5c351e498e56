import type { Migration } from "../../db/db.ts";

/** The audit, to which is only added. */
export const auditMigrations: readonly Migration[] = [
  {
    id: "audit/001-create",
    sql: `
      CREATE TABLE audit_log (
        seq bigint PRIMARY KEY,
        kind text NOT NULL,
        request text NOT NULL,
        at bigint NOT NULL,
        caller text,
        address text,
        method text,
        route text,
        params text,
        idempotency_key text,
        body text,
        status integer,
        code text,
        duration_ms integer,
        count integer NOT NULL,
        hash text NOT NULL
      );
      CREATE INDEX audit_log_caller ON audit_log (caller, seq);
      CREATE INDEX audit_log_at ON audit_log (at);
      -- the last line; whoever writes holds it
      CREATE TABLE audit_head (
        one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row),
        seq bigint NOT NULL,
        hash text NOT NULL,
        -- HMAC under a key that the database does not have
        seal text NOT NULL
      );
      INSERT INTO audit_head (seq, hash, seal) VALUES (0, repeat('0', 64), '');
      CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          RAISE EXCEPTION 'the audit is only added to';
        END
      $$;
      CREATE TRIGGER audit_log_is_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
      CREATE TRIGGER audit_head_stays BEFORE DELETE OR TRUNCATE ON audit_head
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
    `,
  },
  {
    // What is in a file of the archive may be deleted here, and nothing else.
    id: "audit/002-archive",
    sql: `
      CREATE TABLE audit_archive (
        last bigint PRIMARY KEY,
        first bigint NOT NULL,
        file bigint NOT NULL
      );
      CREATE TRIGGER audit_archive_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_archive
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
      DROP TRIGGER audit_log_is_added_to ON audit_log;
      CREATE TRIGGER audit_log_is_added_to BEFORE UPDATE OR TRUNCATE ON audit_log
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
      CREATE FUNCTION refuse_audit_loss() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
          IF EXISTS (
            SELECT 1 FROM deleted WHERE NOT EXISTS (
              SELECT 1 FROM audit_archive a WHERE deleted.seq BETWEEN a.first AND a.last)
          ) THEN
            RAISE EXCEPTION 'the audit is only added to';
          END IF;
          RETURN NULL;
        END
      $$;
      CREATE TRIGGER audit_log_stays AFTER DELETE ON audit_log
        REFERENCING OLD TABLE AS deleted FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_loss();
    `,
  },
];
