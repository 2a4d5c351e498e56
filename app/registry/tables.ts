import { z } from "zod";
import type { Migration, Queryable, Tx } from "#core/db/db.ts";
import type { SealedTable } from "#core/db/reseal.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Json, toJson } from "#core/kernel/json.ts";
import type { Sealer } from "#core/kernel/seal.ts";
import type { Kind, Source, State, Word } from "./words.ts";

/**
 * What the API has said about chains and lanes. Rows are never deleted, so revisions only rise and a name that was
 * removed keeps what its history was recorded under. Settings are sealed: addresses of endpoints can carry keys.
 */
export const registryMigrations: readonly Migration[] = [
  {
    id: "registry/001-create",
    sql: `
      CREATE TABLE registry_words (
        kind text NOT NULL CHECK (kind IN ('chain', 'lane')),
        name text NOT NULL,
        source text NOT NULL CHECK (source IN ('file', 'api')),
        state text NOT NULL CHECK (state IN ('active', 'paused', 'removed')),
        sealed bytea,
        -- 0 for a chain of the file that nothing was said about: there so that it can be locked
        revision bigint NOT NULL,
        PRIMARY KEY (kind, name)
      );
    `,
  },
];

/** Processes hear here that a word has changed. */
export const registryChannel = "lockstep_registry";

type Row = { kind: Kind; name: string; source: Source; state: State; sealed: Buffer | null; revision: bigint };

const settingsSchema = z.record(
  z.string(),
  z.custom<Json>((value) => value !== undefined),
);
const contextOf = (kind: string, name: string) => `registry ${kind} ${name}`;

/** Settings of chains and lanes. */
export const sealedWords: SealedTable = {
  table: "registry_words",
  key: ["kind", "name"],
  context: ([kind = "", name = ""]) => contextOf(kind, name),
};

/** Everything said so far. Throws `config-invalid` when the sealing key is not the one it was said under. */
export async function readWords(from: Queryable, sealer: Sealer): Promise<Word[]> {
  const rows = await from.query<Row>(
    "SELECT kind, name, source, state, sealed, revision FROM registry_words WHERE revision > 0 ORDER BY kind, name",
  );
  return rows.map(({ sealed, ...word }) => {
    if (sealed === null) return { ...word, settings: {} };
    try {
      const text = sealer.open(sealed, contextOf(word.kind, word.name)).toString();
      return { ...word, settings: settingsSchema.parse(JSON.parse(text)) };
    } catch {
      throw new LockstepError(
        "config-invalid",
        `sealingKey: what the API said about ${word.kind} ${word.name} does not open with it`,
        { details: { field: "sealingKey" } },
      );
    }
  });
}

/** Makes chains of the file known to the database, so that whoever relies on one can hold it. */
export async function noteChains(to: Queryable, names: readonly string[]): Promise<void> {
  await to.query(
    `INSERT INTO registry_words (kind, name, source, state, revision)
     SELECT 'chain', name, 'file', 'active', 0 FROM unnest($1::text[]) AS given(name) ON CONFLICT DO NOTHING`,
    [names],
  );
}

/** Keeps words from being said until the transaction ends, and answers the newest revision. */
export async function lockWords(tx: Tx): Promise<bigint> {
  await tx.query("SELECT pg_advisory_xact_lock(hashtextextended(current_schema() || '.registry_words', 0))");
  const [row] = await tx.query<{ newest: bigint }>(
    "SELECT coalesce(max(revision), 0)::bigint AS newest FROM registry_words",
  );
  return row?.newest ?? 0n;
}

/** Writes a word and tells every process once it is committed. */
export async function writeWord(tx: Tx, sealer: Sealer, word: Word): Promise<void> {
  const { kind, name, source, state, settings, revision } = word;
  const sealed =
    Object.keys(settings).length === 0 ? null : sealer.seal(Buffer.from(toJson(settings)), contextOf(kind, name));
  await tx.query(
    `INSERT INTO registry_words (kind, name, source, state, sealed, revision) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (kind, name) DO UPDATE SET source = $3, state = $4, sealed = $5, revision = $6`,
    [kind, name, source, state, sealed, revision],
  );
  await tx.query("SELECT pg_notify($1, '')", [registryChannel]);
}

/** The states of chains, which cannot be removed before the transaction ends. Unknown ones are absent. */
export async function holdChains(tx: Tx, names: readonly string[]): Promise<Map<string, State>> {
  const rows = await tx.query<{ name: string; state: State }>(
    "SELECT name, state FROM registry_words WHERE kind = 'chain' AND name = ANY($1) ORDER BY name FOR KEY SHARE",
    [names],
  );
  return new Map(rows.map(({ name, state }) => [name, state]));
}

/** Waits for every transaction that holds the chain. */
export async function takeChain(tx: Tx, name: string): Promise<void> {
  await tx.query("SELECT 1 FROM registry_words WHERE kind = 'chain' AND name = $1 FOR UPDATE", [name]);
}
