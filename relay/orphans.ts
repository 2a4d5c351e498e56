import type { Migration, Queryable, Tx } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Lane } from "./lane.ts";
import type { Attempted } from "./protocol/logs.ts";

/** What a destination showed of a message: executed, or failed with a reason. */
export type AttemptFact = Attempted & { readonly lane: Lane; readonly at: bigint } & (
    | { readonly kind: "executed" }
    | { readonly kind: "failed"; readonly reason: Hex }
  );

/** An attempt without the raw log, as it is kept. */
export type SeenAttempt = {
  readonly onchainId: Hex;
  readonly kind: "executed" | "failed";
  readonly reason: Hex;
  readonly transactionHash: Hex;
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  readonly at: bigint;
  readonly final: boolean;
};

/**
 * Attempts of messages whose origin has not been indexed that far: kept until the message shows up. Without them a
 * service that starts with an empty database would take delivered messages for undelivered ones.
 */
export const orphanMigrations: readonly Migration[] = [
  {
    id: "relay/003-orphans",
    sql: `
      CREATE TABLE relay_orphans (
        onchain_id text NOT NULL, kind text NOT NULL, chain text NOT NULL, reason text NOT NULL,
        transaction_hash text NOT NULL, block_number bigint NOT NULL, block_hash text NOT NULL, at bigint NOT NULL,
        final boolean NOT NULL DEFAULT false, PRIMARY KEY (onchain_id, kind)
      );
      CREATE INDEX relay_orphans_unfinal ON relay_orphans (chain, block_number) WHERE NOT final;
    `,
  },
];

/**
 * The two ends of a lane are indexed by two transactions at once, and neither sees what the other has not committed:
 * without a lock an attempt could be kept while its message is written, and nobody would ever join the two. Whoever
 * looks for messages to attempts takes it for itself; those who write messages share it. Held until the transaction ends.
 */
export async function lockOrphans(tx: Tx, mode: "exclusive" | "shared"): Promise<void> {
  const lock = mode === "shared" ? "pg_advisory_xact_lock_shared" : "pg_advisory_xact_lock";
  await tx.query(`SELECT ${lock}(hashtextextended(current_schema() || '.relay_orphans', 0))`);
}

export async function keepOrphans(tx: Tx, chain: string, facts: readonly AttemptFact[]): Promise<void> {
  if (facts.length === 0) return;
  const rows = facts.map((fact) => ({
    onchain_id: fact.id,
    kind: fact.kind,
    chain,
    reason: fact.kind === "failed" ? fact.reason : "0x",
    transaction_hash: fact.log.transactionHash,
    block_number: fact.log.blockNumber.toString(),
    block_hash: fact.log.blockHash,
    at: fact.at.toString(),
  }));
  await tx.query(
    `INSERT INTO relay_orphans (onchain_id, kind, chain, reason, transaction_hash, block_number, block_hash, at)
     SELECT * FROM jsonb_to_recordset($1::jsonb) AS given(onchain_id text, kind text, chain text, reason text,
       transaction_hash text, block_number bigint, block_hash text, at bigint)
     ON CONFLICT DO NOTHING`,
    [JSON.stringify(rows)],
  );
}

type OrphanRow = {
  onchain_id: Hex;
  kind: "executed" | "failed";
  reason: Hex;
  transaction_hash: Hex;
  block_number: bigint;
  block_hash: Hex;
  at: bigint;
  final: boolean;
};

/** Takes out what was kept of these messages, failures before executions. */
export async function adoptOrphans(tx: Tx, onchainIds: readonly Hex[]): Promise<Map<Hex, SeenAttempt[]>> {
  if (onchainIds.length === 0) return new Map();
  const rows = await tx.query<OrphanRow>(
    `DELETE FROM relay_orphans WHERE onchain_id = ANY($1)
     RETURNING onchain_id, kind, reason, transaction_hash, block_number, block_hash, at, final`,
    [onchainIds],
  );
  const found = rows.map(
    (row): SeenAttempt => ({
      onchainId: row.onchain_id,
      kind: row.kind,
      reason: row.reason,
      transactionHash: row.transaction_hash,
      blockNumber: row.block_number,
      blockHash: row.block_hash,
      at: row.at,
      final: row.final,
    }),
  );
  const failuresFirst = found.toSorted((a, b) => (a.kind === b.kind ? 0 : a.kind === "failed" ? -1 : 1));
  return Map.groupBy(failuresFirst, ({ onchainId }) => onchainId);
}

export async function dropOrphans(to: Queryable, chain: string, above: bigint): Promise<void> {
  await to.query("DELETE FROM relay_orphans WHERE chain = $1 AND block_number > $2", [chain, above]);
}

export async function finalizeOrphans(to: Queryable, chain: string, height: bigint): Promise<void> {
  await to.query("UPDATE relay_orphans SET final = true WHERE chain = $1 AND block_number <= $2 AND NOT final", [
    chain,
    height,
  ]);
}
