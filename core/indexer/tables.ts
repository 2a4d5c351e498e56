import type { Migration, Queryable, Tx } from "../db/db.ts";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { KnownBlock } from "./reconcile.ts";

/** The indexer's own tables: how far a chain is indexed, and the blocks above its final one. */
export const indexerMigrations: readonly Migration[] = [
  {
    id: "indexer/001-create",
    sql: `
      CREATE TABLE indexer_checkpoint (
        chain text PRIMARY KEY,
        genesis text NOT NULL,
        final bigint NOT NULL,
        revision bigint NOT NULL
      );
      CREATE TABLE indexer_block (
        chain text NOT NULL REFERENCES indexer_checkpoint (chain) ON DELETE CASCADE,
        number bigint NOT NULL,
        hash text NOT NULL,
        logs text NOT NULL,
        PRIMARY KEY (chain, number)
      );`,
  },
  {
    id: "indexer/002-checked",
    sql: `
      -- Up to this height every block was looked at twice; the first time does not count for those there are.
      ALTER TABLE indexer_checkpoint ADD COLUMN checked bigint;
      UPDATE indexer_checkpoint SET checked = final;
      ALTER TABLE indexer_checkpoint ALTER COLUMN checked SET NOT NULL;`,
  },
];

/** A block that was indexed, with the ids of the logs that were handed on. */
export type RecordedBlock = KnownBlock & { readonly logs: readonly string[] };

/** What is durable about one chain. The last of `known` is the checkpoint; it holds the block at `final`. */
export type IndexState = {
  readonly genesis: Hex;
  readonly final: bigint;
  /** Every block up to here was looked at twice; never above `final`. Blocks with logs above it are all in `known`. */
  readonly checked: bigint;
  /** Rises with every commit: whoever holds an older one lost the chain to another process. */
  readonly revision: bigint;
  readonly known: readonly RecordedBlock[];
};

/** The last block indexed. */
export function tipOf(state: IndexState): RecordedBlock {
  const tip = state.known.at(-1);
  if (tip === undefined) throw new LockstepError("internal", "an indexed chain has no blocks");
  return tip;
}

export async function loadState(from: Queryable, chain: string): Promise<IndexState | undefined> {
  const rows = await from.query<{
    genesis: Hex;
    final: bigint;
    checked: bigint;
    revision: bigint;
    number: bigint;
    hash: Hex;
    logs: string;
  }>(
    `SELECT c.genesis, c.final, c.checked, c.revision, b.number, b.hash, b.logs
     FROM indexer_checkpoint c JOIN indexer_block b USING (chain)
     WHERE chain = $1 ORDER BY b.number`,
    [chain],
  );
  const [first] = rows;
  if (first === undefined) return undefined;
  const { genesis, final, checked, revision } = first;
  const known = rows.map(({ number, hash, logs }) => ({ number, hash, logs: logs === "" ? [] : logs.split(",") }));
  return { genesis, final, checked, revision, known };
}

/** Writes the state of a chain that is new. Throws `conflict` when another process was first. */
export async function createState(tx: Tx, chain: string, state: IndexState): Promise<void> {
  const added = await tx.query(
    `INSERT INTO indexer_checkpoint (chain, genesis, final, checked, revision) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT DO NOTHING RETURNING chain`,
    [chain, state.genesis, state.final, state.checked, state.revision],
  );
  if (added.length === 0) throw movedByAnother(chain);
  await insertBlocks(tx, chain, state.known);
}

/**
 * Moves a chain from one state to the next. Blocks that both have are told by identity; the others of `from` go and
 * those of `to` come. Throws `conflict` when the stored state is not `from`.
 */
export async function moveState(tx: Tx, chain: string, from: IndexState, to: IndexState): Promise<void> {
  const moved = await tx.query(
    `UPDATE indexer_checkpoint SET final = $3, checked = $4, revision = $5
     WHERE chain = $1 AND revision = $2 RETURNING chain`,
    [chain, from.revision, to.final, to.checked, to.revision],
  );
  if (moved.length === 0) throw movedByAnother(chain);
  const before = new Set(from.known);
  const kept = to.known.filter((block) => before.has(block));
  if (kept.length < from.known.length) {
    const numbers = kept.map(({ number }) => number);
    await tx.query("DELETE FROM indexer_block WHERE chain = $1 AND NOT number = ANY($2::bigint[])", [chain, numbers]);
  }
  await insertBlocks(
    tx,
    chain,
    to.known.filter((block) => !before.has(block)),
  );
}

async function insertBlocks(tx: Tx, chain: string, blocks: readonly RecordedBlock[]): Promise<void> {
  if (blocks.length === 0) return;
  await tx.query(
    `INSERT INTO indexer_block (chain, number, hash, logs)
     SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[])`,
    [
      chain,
      blocks.map(({ number }) => number),
      blocks.map(({ hash }) => hash),
      blocks.map(({ logs }) => logs.join(",")),
    ],
  );
}

const movedByAnother = (chain: string) =>
  new LockstepError("conflict", `another process indexes ${chain}`, { details: { chain } });
