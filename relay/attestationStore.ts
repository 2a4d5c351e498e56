import type { Migration, Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type Lane, laneName } from "./lane.ts";
import type { Attestation } from "./quorum.ts";

export const attestationMigrations: readonly Migration[] = [
  {
    id: "relay/004-attestations",
    sql: `
      CREATE TABLE relay_attestations (
        origin text NOT NULL, destination text NOT NULL, generation integer NOT NULL, epoch bigint NOT NULL,
        validator text NOT NULL, nonce bigint NOT NULL, accumulator text NOT NULL, signature text NOT NULL,
        received_at timestamptz NOT NULL,
        PRIMARY KEY (origin, destination, generation, epoch, validator, nonce)
      );
    `,
  },
  {
    id: "relay/013-contradictions",
    sql: `
      CREATE TABLE relay_contradictions (
        origin text NOT NULL, destination text NOT NULL, generation integer NOT NULL, epoch bigint NOT NULL,
        validator text NOT NULL, nonce bigint NOT NULL, accumulator text NOT NULL, signature text NOT NULL,
        PRIMARY KEY (origin, destination, generation, validator)
      );
      CREATE INDEX relay_attestations_place ON relay_attestations (origin, destination, nonce, validator);
    `,
  },
];

/**
 * Keeps verified attestations. The first one of a validator for a nonce stays: a second with another accumulator is an
 * equivocation, and its count is that of the first.
 */
export async function saveAttestations(
  to: Queryable,
  lane: Lane,
  generation: number,
  attestations: readonly Attestation[],
  at: Date,
): Promise<void> {
  if (attestations.length === 0) return;
  await to.query(
    `INSERT INTO relay_attestations
       (origin, destination, generation, epoch, validator, nonce, accumulator, signature, received_at)
     SELECT $1, $2, $3, epoch, validator, nonce, accumulator, signature, $4
       FROM unnest($5::bigint[], $6::text[], $7::bigint[], $8::text[], $9::text[])
         AS given(epoch, validator, nonce, accumulator, signature)
     ON CONFLICT DO NOTHING`,
    [
      ...[lane.origin, lane.destination, generation, at],
      attestations.map(({ epoch }) => epoch.toString()),
      attestations.map(({ validator }) => validator),
      attestations.map(({ nonce }) => nonce.toString()),
      attestations.map(({ accumulator }) => accumulator),
      attestations.map(({ signature }) => signature),
    ],
  );
}

/** What a word contradicts: another one of the same validator, and what the lane's events say. */
export type Known = {
  /** Under whatever epoch, and whether or not it was kept as an attestation. */
  readonly other?: Signed;
  readonly indexed?: { readonly accumulator: Hex; readonly final: boolean };
};
export type Signed = { readonly epoch: bigint; readonly accumulator: Hex; readonly signature: Hex };

/**
 * Keeps a verified word that nothing contradicts, and answers what there was: another word of the validator about the
 * nonce, and what the lane's events say there. A word against the events is kept apart, the newest of each validator:
 * together with another it proves that the validator signs two histories.
 */
export async function saveWord(
  to: Queryable,
  { origin, destination }: Lane,
  generation: number,
  { epoch, validator, nonce, accumulator, signature }: Attestation,
  at: Date,
): Promise<Known> {
  const [row] = await to.query<{
    other: { epoch: string; accumulator: Hex; signature: Hex } | null;
    indexed: { accumulator: Hex; final: boolean } | null;
  }>(
    `WITH other AS (
       SELECT epoch, accumulator, signature FROM relay_attestations
        WHERE origin = $1 AND destination = $2 AND generation = $3 AND validator = $5 AND nonce = $6
          AND accumulator <> $7
       UNION ALL
       SELECT epoch, accumulator, signature FROM relay_contradictions
        WHERE origin = $1 AND destination = $2 AND generation = $3 AND validator = $5 AND nonce = $6
          AND accumulator <> $7
       LIMIT 1
     ), indexed AS (
       SELECT accumulator, sent_final AS final FROM relay_messages
        WHERE origin = $1 AND destination = $2 AND nonce = $6 LIMIT 1
     ), apart AS (
       INSERT INTO relay_contradictions
         (origin, destination, generation, epoch, validator, nonce, accumulator, signature)
       SELECT $1, $2, $3, $4, $5, $6, $7, $8 FROM indexed WHERE accumulator <> $7
       ON CONFLICT (origin, destination, generation, validator) DO UPDATE
         SET epoch = $4, nonce = $6, accumulator = $7, signature = $8
     ), saved AS (
       INSERT INTO relay_attestations
         (origin, destination, generation, epoch, validator, nonce, accumulator, signature, received_at)
       SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
        WHERE NOT EXISTS (SELECT 1 FROM indexed WHERE accumulator <> $7)
          AND (NOT EXISTS (SELECT 1 FROM other) OR EXISTS (SELECT 1 FROM indexed))
       ON CONFLICT DO NOTHING
     )
     SELECT (SELECT jsonb_build_object('epoch', epoch::text, 'accumulator', accumulator, 'signature', signature)
               FROM other) AS other,
            (SELECT jsonb_build_object('accumulator', accumulator, 'final', final) FROM indexed) AS indexed`,
    [origin, destination, generation, epoch.toString(), validator, nonce.toString(), accumulator, signature, at],
  );
  const { other, indexed } = row ?? {};
  return { ...(other && { other: { ...other, epoch: BigInt(other.epoch) } }), ...(indexed && { indexed }) };
}

export type KeptAttestation = Attestation & { readonly generation: number };

/**
 * What validators have said about a lane from a nonce on. Whether it agrees with the lane's events is for the caller to
 * see: to join a lane's messages here takes as long as the lane is.
 */
export function keptAttestations(
  from: Queryable,
  lane: Lane,
  scope: { readonly generation: number; readonly epochs: readonly bigint[]; readonly nonce: bigint },
): Promise<KeptAttestation[]> {
  return from.query<KeptAttestation>(
    `SELECT generation, epoch, validator, nonce, accumulator, signature FROM relay_attestations
      WHERE origin = $1 AND destination = $2 AND generation = $3 AND epoch = ANY($4::bigint[]) AND nonce >= $5`,
    [lane.origin, lane.destination, scope.generation, scope.epochs.map(String), scope.nonce.toString()],
  );
}

export type ValidatorHead = {
  readonly validator: Hex;
  readonly lane: string;
  readonly nonce: bigint;
  readonly at: Date;
};

/** The newest matching attestation of every validator for every lane, whatever the generation and the epoch. */
export async function validatorHeads(from: Queryable): Promise<ValidatorHead[]> {
  const rows = await from.query<Lane & { validator: Hex; nonce: bigint; received_at: Date }>(
    `SELECT DISTINCT ON (a.origin, a.destination, a.validator)
            a.origin, a.destination, a.validator, a.nonce, a.received_at
       FROM relay_attestations AS a
       JOIN relay_messages AS m
         ON m.origin = a.origin AND m.destination = a.destination AND m.nonce = a.nonce AND m.accumulator = a.accumulator
      ORDER BY a.origin, a.destination, a.validator, a.nonce DESC`,
  );
  return rows.map((row) => ({ validator: row.validator, lane: laneName(row), nonce: row.nonce, at: row.received_at }));
}

/**
 * Drops what no delivery will need again: below a nonce, all but each validator's newest that agrees with the lane. That
 * one is looked for validator by validator, from the newest word down: joined as a whole the tables were once read for
 * minutes, in the middle of a burst, by a plan made for a small table.
 */
export async function pruneAttestations(to: Queryable, lane: Lane, below: bigint): Promise<void> {
  await to.query(
    `WITH newest AS MATERIALIZED (
       SELECT own.validator, agreed.nonce
         FROM (SELECT DISTINCT validator FROM relay_attestations WHERE origin = $1 AND destination = $2) AS own
        CROSS JOIN LATERAL (
          SELECT b.nonce FROM relay_attestations AS b
           WHERE b.origin = $1 AND b.destination = $2 AND b.validator = own.validator
             AND b.accumulator = (SELECT m.accumulator FROM relay_messages AS m
                                   WHERE m.origin = $1 AND m.destination = $2 AND m.nonce = b.nonce LIMIT 1)
           ORDER BY b.nonce DESC LIMIT 1) AS agreed)
     DELETE FROM relay_attestations AS a USING newest
      WHERE a.origin = $1 AND a.destination = $2 AND a.validator = newest.validator
        AND a.nonce < least($3, newest.nonce)`,
    [lane.origin, lane.destination, below.toString()],
  );
}

/** Words of one validator about a lane that are kept of each kind: those that agree with its messages, and others. */
export const mostWords = 64;
/** Generations for which a word of a validator against the lane's events is kept: there are few true ones. */
const mostGenerations = 8;

/**
 * Bounds what one validator can have kept, which may sign whatever it likes: its newest words that agree with the lane's
 * messages, and the last that came of those about messages that are not known (yet). Neither crowds out the other.
 */
export async function boundWords(to: Queryable, { origin, destination }: Lane, validator: Hex): Promise<void> {
  const own = [origin, destination, validator];
  await to.query(
    `WITH own AS (
       SELECT generation, epoch, nonce, row_number() OVER (
                PARTITION BY agrees
                ORDER BY CASE WHEN agrees THEN nonce END DESC, CASE WHEN NOT agrees THEN received_at END DESC,
                         generation, epoch DESC
              ) AS place
         FROM (SELECT a.*, a.accumulator IS NOT DISTINCT FROM (
                        SELECT m.accumulator FROM relay_messages AS m
                         WHERE m.origin = $1 AND m.destination = $2 AND m.nonce = a.nonce LIMIT 1) AS agrees
                 FROM relay_attestations AS a
                WHERE a.origin = $1 AND a.destination = $2 AND a.validator = $3) AS judged)
     DELETE FROM relay_attestations AS a USING own
      WHERE a.origin = $1 AND a.destination = $2 AND a.validator = $3 AND own.place > $4
        AND a.generation = own.generation AND a.epoch = own.epoch AND a.nonce = own.nonce`,
    [...own, mostWords],
  );
  await to.query(
    `DELETE FROM relay_contradictions
      WHERE origin = $1 AND destination = $2 AND validator = $3 AND generation NOT IN (
        SELECT generation FROM relay_contradictions
         WHERE origin = $1 AND destination = $2 AND validator = $3 ORDER BY generation LIMIT $4)`,
    [...own, mostGenerations],
  );
}
