import type { Migration } from "../../db/db.ts";
import type { SealedTable } from "../../db/reseal.ts";

export const apiKeyContext = (id: string) => `api-key ${id}`;

/** Shared secrets of keys that sign. */
export const sealedApiKeys: SealedTable = {
  table: "api_keys",
  key: ["id"],
  context: ([id = ""]) => apiKeyContext(id),
};

/**
 * Keys of callers, and nonces of requests that they signed. Of a bearer key there is only a hash, of a shared secret
 * the sealed text: to check a signature by it, it has to be known.
 */
export const accessMigrations: readonly Migration[] = [
  {
    id: "access/001-create",
    sql: `
      CREATE TABLE api_keys (
        place bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
        id text PRIMARY KEY,
        kind text NOT NULL CHECK (kind IN ('bearer', 'hmac')),
        name text NOT NULL,
        role text NOT NULL CHECK (role IN ('viewer', 'trader', 'operator', 'admin')),
        accounts text[],
        hash bytea,
        sealed bytea,
        created_at timestamptz NOT NULL,
        created_by text NOT NULL,
        expires_at timestamptz,
        last_used_at timestamptz,
        revoked_at timestamptz,
        revoked_by text,
        CHECK ((kind = 'bearer') = (hash IS NOT NULL) AND (kind = 'hmac') = (sealed IS NOT NULL))
      );
      CREATE TABLE request_nonces (
        key_id text NOT NULL,
        nonce text NOT NULL,
        until timestamptz NOT NULL,
        PRIMARY KEY (key_id, nonce)
      );
      CREATE INDEX request_nonces_until ON request_nonces (until);
    `,
  },
];

/** Processes hear here of the id of a key that was revoked. */
export const apiKeysChannel = "lockstep_api_keys";
