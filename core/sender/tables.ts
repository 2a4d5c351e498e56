import type { Migration } from "../db/db.ts";
import type { SealedTable } from "../db/reseal.ts";

/** Sealed bytes open only under the hash that they were stored with. */
export const attemptContext = (hash: string) => `sender attempt ${hash}`;

/** Signed transactions that are under way. */
export const sealedAttempts: SealedTable = {
  table: "sender_attempt",
  key: ["hash"],
  context: ([hash = ""]) => attemptContext(hash),
};

/** The sender's own durable state: intents, and every transaction ever signed for them. */
export const senderMigrations: readonly Migration[] = [
  {
    id: "sender/001-create",
    sql: `
      CREATE TABLE sender_chain (
        chain text PRIMARY KEY,
        genesis text NOT NULL
      );
      CREATE TABLE sender_intent (
        id text PRIMARY KEY,
        place bigint GENERATED ALWAYS AS IDENTITY,
        chain text NOT NULL,
        account text NOT NULL,
        kind text NOT NULL,
        subject text NOT NULL,
        call jsonb NOT NULL,
        gas bigint NOT NULL,
        not_after bigint,
        dry_run boolean NOT NULL,
        state text NOT NULL DEFAULT 'queued'
          CHECK (state IN ('queued', 'signed', 'included', 'finalized', 'abandoned')),
        nonce bigint,
        released boolean NOT NULL DEFAULT false,
        moved boolean NOT NULL DEFAULT false,
        reason text,
        detail text,
        mined_hash text,
        mined_block bigint,
        mined_status text,
        gas_used bigint,
        events integer NOT NULL DEFAULT 0
      );
      CREATE UNIQUE INDEX sender_intent_nonce ON sender_intent (chain, account, nonce);
      CREATE INDEX sender_intent_open ON sender_intent (chain, account, place)
        WHERE state IN ('queued', 'signed', 'included');
      CREATE TABLE sender_attempt (
        hash text PRIMARY KEY,
        place bigint GENERATED ALWAYS AS IDENTITY,
        intent text NOT NULL REFERENCES sender_intent (id),
        nonce bigint NOT NULL,
        kind text NOT NULL CHECK (kind IN ('call', 'void')),
        max_fee numeric NOT NULL,
        max_tip numeric NOT NULL,
        sealed bytea
      );
      CREATE INDEX sender_attempt_intent ON sender_attempt (intent);`,
  },
  {
    // A nonce is single among the intents that are under way. One that ended long ago may have lost it again, when a
    // chain drops blocks that counted as final: then something else has to use the nonce, or all above it wait for ever.
    id: "sender/002-pools-waiting-spent",
    sql: `
      ALTER TABLE sender_intent
        ADD COLUMN pool text,
        ADD COLUMN asked_at bigint NOT NULL DEFAULT (extract(epoch FROM clock_timestamp()) * 1000)::bigint,
        ADD COLUMN waiting_code text,
        ADD COLUMN waiting_detail text;
      DROP INDEX sender_intent_nonce;
      CREATE UNIQUE INDEX sender_intent_nonce ON sender_intent (chain, account, nonce)
        WHERE state IN ('signed', 'included');
      CREATE INDEX sender_intent_used ON sender_intent (chain, account, nonce);
      CREATE TABLE sender_spent (
        chain text NOT NULL,
        account text NOT NULL,
        kind text NOT NULL,
        succeeded bigint NOT NULL DEFAULT 0,
        reverted bigint NOT NULL DEFAULT 0,
        abandoned bigint NOT NULL DEFAULT 0,
        gas_used numeric NOT NULL DEFAULT 0,
        fees numeric NOT NULL DEFAULT 0,
        PRIMARY KEY (chain, account, kind)
      );`,
  },
  {
    // Until when the effect is worth something, and how much; null where no deadline makes it worth more.
    id: "sender/003-urgency",
    sql: "ALTER TABLE sender_intent ADD COLUMN urgency jsonb;",
  },
  {
    id: "sender/004-sign-by",
    sql: "ALTER TABLE sender_intent ADD COLUMN sign_by bigint;",
  },
];
