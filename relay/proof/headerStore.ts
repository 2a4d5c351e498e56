import type { Migration, Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Lane } from "../lane.ts";

/** The header that a lane's deliveries rest on, from when its transaction was asked for. */
export type LaneHeader = {
  readonly generation: number;
  readonly height: bigint;
  readonly blockHash: Hex;
  /** The lane's head right after the block. */
  readonly nonce: bigint;
  readonly accumulator: Hex;
  readonly epoch: bigint;
  /** Counts the transactions for this very header. */
  readonly attempt: number;
  /** The transaction that brings it to the destination. */
  readonly intentId: string;
};

export const headerMigrations: readonly Migration[] = [
  {
    id: "relay/016-headers",
    sql: `
      -- One a lane: a later header proves all that an earlier one does.
      CREATE TABLE relay_headers (
        origin text NOT NULL, destination text NOT NULL, generation integer NOT NULL, height bigint NOT NULL,
        block_hash text NOT NULL, nonce bigint NOT NULL, accumulator text NOT NULL, epoch bigint NOT NULL,
        attempt integer NOT NULL, intent_id text NOT NULL,
        PRIMARY KEY (origin, destination)
      );
    `,
  },
];

export async function findHeader(from: Queryable, { origin, destination }: Lane): Promise<LaneHeader | undefined> {
  const [row] = await from.query<LaneHeader>(
    `SELECT generation, height, block_hash AS "blockHash", nonce, accumulator, epoch, attempt, intent_id AS "intentId"
       FROM relay_headers WHERE origin = $1 AND destination = $2`,
    [origin, destination],
  );
  return row;
}

export async function saveHeader(to: Queryable, { origin, destination }: Lane, header: LaneHeader): Promise<void> {
  const { generation, height, blockHash, nonce, accumulator, epoch, attempt, intentId } = header;
  await to.query(
    `INSERT INTO relay_headers
       (origin, destination, generation, height, block_hash, nonce, accumulator, epoch, attempt, intent_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
     ON CONFLICT (origin, destination) DO UPDATE SET
       generation = $3, height = $4, block_hash = $5, nonce = $6, accumulator = $7, epoch = $8, attempt = $9,
       intent_id = $10`,
    [
      ...[origin, destination, generation, height.toString(), blockHash, nonce.toString(), accumulator],
      ...[epoch.toString(), attempt, intentId],
    ],
  );
}
