import { createHash, randomBytes } from "node:crypto";
import type { Migration, Queryable, Tx } from "#core/db/db.ts";
import type { SealedTable } from "#core/db/reseal.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Redacted, redact } from "#core/kernel/redacted.ts";
import type { Sealer } from "#core/kernel/seal.ts";

export const secretMigrations: readonly Migration[] = [
  {
    id: "swap/001-secrets",
    sql: "create table swap_secrets (hashlock text primary key, sealed bytea not null)",
  },
];

const context = (hashlock: string) => `swap-secret:${hashlock}`;

/** Secrets of swaps, kept for ever. */
export const sealedSecrets: SealedTable = {
  table: "swap_secrets",
  key: ["hashlock"],
  context: ([hashlock = ""]) => context(hashlock),
};

/** The only place where secrets are kept: sealed rows, each bound to its hashlock. */
export type SecretStore = {
  /** Makes fresh secrets and keeps them in the caller's transaction; returns their hashlocks, SHA-256 of 32 bytes each. */
  create(tx: Tx, count: number): Promise<Hex[]>;
  /** Keeps a secret that was handed in, in the caller's transaction; its hashlock is `hashlock`. */
  keep(tx: Tx, hashlock: Hex, secret: Redacted<Hex>): Promise<void>;
  /** The secret of a hashlock; throws `secret-missing` when it is not kept here or does not open. */
  open(from: Queryable, hashlock: Hex): Promise<Redacted<Hex>>;
};

export function createSecretStore(deps: { sealer: Sealer }): SecretStore {
  async function write(tx: Tx, secrets: readonly { readonly hashlock: Hex; readonly secret: Buffer }[]): Promise<void> {
    if (secrets.length === 0) return;
    await tx.query(
      "insert into swap_secrets (hashlock, sealed) select * from unnest($1::text[], $2::bytea[]) on conflict do nothing",
      [
        secrets.map(({ hashlock }) => hashlock),
        secrets.map(({ hashlock, secret }) => deps.sealer.seal(secret, context(hashlock))),
      ],
    );
  }
  return {
    async create(tx, count) {
      const made = Array.from({ length: count }, () => {
        const secret = randomBytes(32);
        const hashlock: Hex = `0x${createHash("sha256").update(secret).digest("hex")}`;
        return { hashlock, secret };
      });
      await write(tx, made);
      return made.map(({ hashlock }) => hashlock);
    },
    keep: (tx, hashlock, secret) => write(tx, [{ hashlock, secret: Buffer.from(secret.reveal().slice(2), "hex") }]),
    async open(from, hashlock) {
      const [row] = await from.query<{ sealed: Buffer }>("select sealed from swap_secrets where hashlock = $1", [
        hashlock,
      ]);
      if (!row)
        throw new LockstepError("secret-missing", "no secret is kept for this hashlock", { details: { hashlock } });
      try {
        return redact<Hex>(`0x${deps.sealer.open(row.sealed, context(hashlock)).toString("hex")}`);
      } catch {
        // The cipher's own error says nothing more, and nothing about a secret may be carried along.
        throw new LockstepError("secret-missing", "the secret does not open with the configured sealing key", {
          details: { hashlock },
        });
      }
    },
  };
}
