import { hash, randomBytes } from "node:crypto";
import type { Db } from "../../db/db.ts";
import type { AccessRole, ApiKeyKind } from "../../kernel/accessRoles.ts";
import type { Clock } from "../../kernel/clock.ts";
import { LockstepError } from "../../kernel/errors.ts";
import { createRecent } from "../../kernel/recent.ts";
import { type Redacted, redact } from "../../kernel/redacted.ts";
import type { Sealer } from "../../kernel/seal.ts";
import type { Log } from "../../observe/log.ts";
import { apiKeyContext, apiKeysChannel } from "./tables.ts";

/** A caller's key, without what proves that somebody has it. */
export type ApiKey = {
  readonly id: string;
  readonly kind: ApiKeyKind;
  readonly name: string;
  readonly role: AccessRole;
  /** Managed accounts that it may act for; all where this is null. */
  readonly accounts: readonly string[] | null;
  readonly createdAt: Date;
  readonly createdBy: string;
  readonly expiresAt: Date | null;
  /** To the minute or so. */
  readonly lastUsedAt: Date | null;
  readonly revokedAt: Date | null;
  readonly revokedBy: string | null;
};

type ApiKeyOrder = {
  readonly kind: ApiKeyKind;
  readonly name: string;
  readonly role: AccessRole;
  readonly accounts?: readonly string[] | undefined;
  readonly expiresAt?: Date | undefined;
};

/** A key with what its holder's proof is checked by: the secret's hash, or the shared secret. */
export type ProvableKey = ApiKey & { readonly proof: Redacted<Uint8Array> };

export type ApiKeys = {
  /** Nobody learns the secret again. Of a bearer key it is all that is sent. Throws `account-unknown`. */
  create(order: ApiKeyOrder, by: string): Promise<{ key: ApiKey; secret: Redacted<string> }>;
  /** Newest first, with the cursor of each. */
  list(before: bigint | undefined, limit: number): Promise<(ApiKey & { readonly place: bigint })[]>;
  get(id: string): Promise<ApiKey | undefined>;
  /** Counts at once in this process, and in others as soon as they hear of it, a second later at most. */
  revoke(id: string, by: string): Promise<ApiKey | undefined>;
  /** What a proof is checked by, as it is or, at once, as it was up to a second ago; undefined for an unknown id. */
  find(kind: ApiKeyKind, id: string): ProvableKey | undefined | Promise<ProvableKey | undefined>;
  /** Those of the keys that prove nothing any more: revoked, expired or unknown. */
  ended(ids: readonly string[]): Promise<ReadonlySet<string>>;
  /** Notes that the key was used just now. */
  used(key: ApiKey): void;
  /** Hears of revocations until `stop`. */
  start(): Promise<void>;
  stop(): Promise<void>;
};

type Row = {
  place: bigint;
  id: string;
  kind: ApiKeyKind;
  name: string;
  role: AccessRole;
  accounts: string[] | null;
  hash: Buffer | null;
  sealed: Buffer | null;
  created_at: Date;
  created_by: string;
  expires_at: Date | null;
  last_used_at: Date | null;
  revoked_at: Date | null;
  revoked_by: string | null;
};

type Deps = {
  readonly db: Db;
  readonly sealer: Sealer;
  readonly clock: Clock;
  readonly log: Log;
  /** Names of the managed accounts. */
  readonly accounts: readonly string[];
};

const cacheMs = 1_000;
const mostCached = 10_000;
const useNotedMs = 60_000;

/** `id` and secret of the text that a holder of a bearer key sends; undefined when it is none. */
export function parseBearerKey(text: string): { id: string; secret: string } | undefined {
  const match = /^lsk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$/.exec(text);
  return match?.[1] && match[2] ? { id: match[1], secret: match[2] } : undefined;
}

/**
 * What is stored of a bearer key. A plain hash is enough: slow, salted ones make guessing passwords dear, and 256
 * random bits cannot be guessed at any price.
 */
export const hashSecret = (secret: string): Buffer => hash("sha256", secret, "buffer");

/** Keys of callers in the database. */
export function createApiKeys(deps: Deps): ApiKeys {
  const { db, sealer, clock, log } = deps;
  const cached = createRecent<ProvableKey>({ clock, most: mostCached });
  const asked = new Map<string, Promise<ProvableKey | undefined>>();
  const noted = createRecent<true>({ clock, most: mostCached });
  // What was read before a revocation must not be kept after it.
  let revocations = 0;
  let unlisten: (() => Promise<void>) | undefined;

  function forget(id: string): void {
    revocations++;
    asked.clear();
    if (id === "") cached.clear();
    else cached.delete(id);
  }

  async function read(id: string): Promise<ProvableKey | undefined> {
    const seen = revocations;
    const [row] = await db.query<Row>("SELECT * FROM api_keys WHERE id = $1", [id]);
    if (!row) return undefined;
    const proof = row.hash ?? openSecret(row);
    const key = { ...keyOf(row), proof: redact(new Uint8Array(proof)) };
    if (seen === revocations) cached.set(id, key, clock.now() + cacheMs);
    return key;
  }

  function openSecret({ id, sealed }: Row): Buffer {
    try {
      return sealer.open(sealed ?? Buffer.alloc(0), apiKeyContext(id));
    } catch (cause) {
      throw new LockstepError("config-invalid", "sealingKey: the secret of an API key does not open with it", {
        details: { field: "sealingKey", key: id },
        cause,
      });
    }
  }

  function lookUp(id: string): Promise<ProvableKey | undefined> {
    const running = asked.get(id);
    if (running) return running;
    const reading = read(id).finally(() => {
      if (asked.get(id) === reading) asked.delete(id);
    });
    asked.set(id, reading);
    return reading;
  }

  return {
    async create({ kind, name, role, accounts, expiresAt }, by) {
      requireKnown(accounts ?? [], deps.accounts);
      const id = randomBytes(8).toString("hex");
      const secret = randomBytes(32).toString("base64url");
      const hashed = kind === "bearer" ? hashSecret(secret) : null;
      const sealed = kind === "hmac" ? sealer.seal(Buffer.from(secret), apiKeyContext(id)) : null;
      const [row] = await db.query<Row>(
        `INSERT INTO api_keys (id, kind, name, role, accounts, hash, sealed, created_at, created_by, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING *`,
        [id, kind, name, role, accounts ?? null, hashed, sealed, new Date(clock.now()), by, expiresAt ?? null],
      );
      if (!row) throw new LockstepError("internal", "a new API key was not stored");
      return { key: keyOf(row), secret: redact(kind === "bearer" ? `lsk_${id}_${secret}` : secret) };
    },
    async list(before, limit) {
      const rows = await db.query<Row>(
        "SELECT * FROM api_keys WHERE $1::bigint IS NULL OR place < $1 ORDER BY place DESC LIMIT $2",
        [before ?? null, limit],
      );
      return rows.map((row) => ({ ...keyOf(row), place: row.place }));
    },
    async get(id) {
      const [row] = await db.query<Row>("SELECT * FROM api_keys WHERE id = $1", [id]);
      return row && keyOf(row);
    },
    async revoke(id, by) {
      const row = await db.tx(async (tx) => {
        const [found] = await tx.query<Row>(
          `UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2), revoked_by = coalesce(revoked_by, $3)
           WHERE id = $1 RETURNING *`,
          [id, new Date(clock.now()), by],
        );
        await tx.query("SELECT pg_notify($1, $2)", [apiKeysChannel, id]);
        return found;
      });
      forget(id);
      return row && keyOf(row);
    },
    find(kind, id) {
      const ofKind = (key: ProvableKey | undefined) => (key?.kind === kind ? key : undefined);
      const known = cached.get(id);
      return known ? ofKind(known) : lookUp(id).then(ofKind);
    },
    async ended(ids) {
      const inForce = await db.query<{ id: string }>(
        "SELECT id FROM api_keys WHERE id = ANY($1) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)",
        [ids, new Date(clock.now())],
      );
      const ended = new Set(ids);
      for (const { id } of inForce) ended.delete(id);
      return ended;
    },
    used({ id }) {
      if (noted.get(id)) return;
      const now = clock.now();
      noted.set(id, true, now + useNotedMs);
      db.query("UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)", [
        id,
        new Date(now),
      ]).catch((error: unknown) => log.debug({ err: error }, "the use of an API key was not noted"));
    },
    async start() {
      unlisten = await db.listen(apiKeysChannel, forget);
    },
    stop: async () => unlisten?.(),
  };
}

function keyOf(row: Row): ApiKey {
  return {
    ...{ id: row.id, kind: row.kind, name: row.name, role: row.role, accounts: row.accounts },
    ...{ createdAt: row.created_at, createdBy: row.created_by, expiresAt: row.expires_at },
    ...{ lastUsedAt: row.last_used_at, revokedAt: row.revoked_at, revokedBy: row.revoked_by },
  };
}

/** A key for an account that is misspelled would be one for none. */
function requireKnown(accounts: readonly string[], known: readonly string[]): void {
  const unknown = accounts.find((account) => !known.includes(account));
  if (unknown === undefined) return;
  const message = `accounts: there is no managed account "${unknown}"; there are ${known.join(", ")}`;
  throw new LockstepError("account-unknown", message, { details: { field: "accounts", known } });
}
