import type { Migration } from "../../db/db.ts";
import type { SealedTable } from "../../db/reseal.ts";

/** What an answer is bound to: nobody else's key opens it. */
export const answerContext = (caller: string, key: string): string => `idempotency ${JSON.stringify([caller, key])}`;

export const sealedAnswers: SealedTable = {
  ...{ table: "idempotency_keys", column: "answer", key: ["caller", "key"] },
  context: ([caller = "", key = ""]) => answerContext(caller, key),
};

/** What requests with an Idempotency-Key were answered. */
export const idempotencyMigrations: readonly Migration[] = [
  {
    id: "idempotency/001-create",
    sql: `
      CREATE TABLE idempotency_keys (
        caller text NOT NULL,
        key text NOT NULL,
        -- SHA-256 of method, url and body
        fingerprint bytea NOT NULL,
        seed uuid NOT NULL,
        -- the run that is under way; another may take over once its lease is over
        holder uuid,
        leased_until timestamptz,
        status smallint,
        -- sealed: answers may hold secrets
        answer bytea,
        expires_at timestamptz NOT NULL,
        PRIMARY KEY (caller, key),
        CHECK ((status IS NULL) = (answer IS NULL))
      );
      CREATE INDEX idempotency_keys_expiry ON idempotency_keys (expires_at);
      CREATE INDEX idempotency_keys_holder ON idempotency_keys (holder) WHERE holder IS NOT NULL;
    `,
  },
];
