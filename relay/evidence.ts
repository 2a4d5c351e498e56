import type { Migration, Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Signed } from "./attestationStore.ts";
import type { Lane } from "./lane.ts";

/** Two checkpoints that one validator signed for one place of a lane. */
export type Evidence = Lane & {
  readonly generation: number;
  readonly validator: Hex;
  readonly nonce: bigint;
  readonly first: Signed;
  readonly second: Signed;
};

export const evidenceMigrations: readonly Migration[] = [
  {
    id: "relay/015-evidence",
    sql: `
      CREATE TABLE relay_evidence (
        origin text NOT NULL, destination text NOT NULL, generation integer NOT NULL, validator text NOT NULL,
        nonce bigint NOT NULL, first_epoch bigint NOT NULL, first_accumulator text NOT NULL,
        first_signature text NOT NULL, second_epoch bigint NOT NULL, second_accumulator text NOT NULL,
        second_signature text NOT NULL, reported_at timestamptz,
        PRIMARY KEY (origin, destination, generation, validator)
      );
    `,
  },
];

/** Pieces of evidence against a validator of a lane that are kept: one would do, if governance never realigned. */
const mostPieces = 8;

/** Keeps evidence, one piece for each validator and generation of a lane: it proves all there is to prove. */
export async function keepEvidence(to: Queryable, evidence: Evidence): Promise<void> {
  const { first, second } = evidence;
  await to.query(
    `INSERT INTO relay_evidence
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL
      WHERE (SELECT count(*) FROM relay_evidence WHERE origin = $1 AND destination = $2 AND validator = $4) < $12
     ON CONFLICT DO NOTHING`,
    [
      ...[evidence.origin, evidence.destination, evidence.generation, evidence.validator, evidence.nonce.toString()],
      ...[first.epoch.toString(), first.accumulator, first.signature],
      ...[second.epoch.toString(), second.accumulator, second.signature, mostPieces],
    ],
  );
}

type Row = Lane & {
  generation: number;
  validator: Hex;
  nonce: bigint;
  first_epoch: bigint;
  first_accumulator: Hex;
  first_signature: Hex;
  second_epoch: bigint;
  second_accumulator: Hex;
  second_signature: Hex;
};

/** The newest piece against each validator of a lane, reported or not. */
export async function newestEvidence(from: Queryable): Promise<Evidence[]> {
  const rows = await from.query<Row>(
    `SELECT DISTINCT ON (origin, destination, validator) * FROM relay_evidence
      ORDER BY origin, destination, validator, generation DESC`,
  );
  return rows.map(({ origin, destination, generation, validator, nonce, ...row }) => ({
    ...{ origin, destination, generation, validator, nonce },
    first: { epoch: row.first_epoch, accumulator: row.first_accumulator, signature: row.first_signature },
    second: { epoch: row.second_epoch, accumulator: row.second_accumulator, signature: row.second_signature },
  }));
}

/** Of all pieces against the validator: one does for all. */
export async function markReported(to: Queryable, evidence: Evidence, at: Date): Promise<void> {
  const { origin, destination, validator } = evidence;
  await to.query(
    `UPDATE relay_evidence SET reported_at = $4
      WHERE origin = $1 AND destination = $2 AND validator = $3 AND reported_at IS NULL`,
    [origin, destination, validator, at],
  );
}

/** Which validators have been reported at a lane's destination, as `validator lane`. */
export async function reportedValidators(from: Queryable): Promise<(Lane & { validator: Hex })[]> {
  return from.query<Lane & { validator: Hex }>(
    "SELECT origin, destination, validator FROM relay_evidence WHERE reported_at IS NOT NULL",
  );
}
