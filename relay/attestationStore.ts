import type { Migration, Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type Lane, laneName } from "./lane.ts";
import type { Attestation } from "./quorum.ts";

/** Under which lane generation and validator epoch an attestation counts. */
export type AttestationScope = { readonly generation: number; readonly epoch: bigint };

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
];

/**
 * Keeps verified attestations. The first one of a validator for a nonce stays: a second with another accumulator is an
 * equivocation, and its count is that of the first.
 */
export async function saveAttestations(
  to: Queryable,
  lane: Lane,
  { generation, epoch }: AttestationScope,
  attestations: readonly Attestation[],
  at: Date,
): Promise<void> {
  if (attestations.length === 0) return;
  await to.query(
    `INSERT INTO relay_attestations
       (origin, destination, generation, epoch, validator, nonce, accumulator, signature, received_at)
     SELECT $1, $2, $3, $4, validator, nonce, accumulator, signature, $5
       FROM unnest($6::text[], $7::bigint[], $8::text[], $9::text[]) AS given(validator, nonce, accumulator, signature)
     ON CONFLICT DO NOTHING`,
    [
      ...[lane.origin, lane.destination, generation, epoch.toString(), at],
      attestations.map(({ validator }) => validator),
      attestations.map(({ nonce }) => nonce.toString()),
      attestations.map(({ accumulator }) => accumulator),
      attestations.map(({ signature }) => signature),
    ],
  );
}

/**
 * Keeps a verified word that nothing contradicts, and answers what there was: the validator's earlier word about the
 * nonce, and what the lane's events say there.
 */
export async function saveWord(
  to: Queryable,
  { origin, destination }: Lane,
  { generation, epoch }: AttestationScope,
  { validator, nonce, accumulator, signature }: Attestation,
  at: Date,
): Promise<{ kept: Hex | undefined; indexed: Hex | undefined }> {
  const [row] = await to.query<{ kept: Hex | null; indexed: Hex | null }>(
    `WITH kept AS (
       SELECT accumulator FROM relay_attestations WHERE origin = $1 AND destination = $2 AND generation = $3
          AND epoch = $4 AND validator = $5 AND nonce = $6
     ), indexed AS (
       SELECT accumulator FROM relay_messages WHERE origin = $1 AND destination = $2 AND nonce = $6 LIMIT 1
     ), saved AS (
       INSERT INTO relay_attestations
         (origin, destination, generation, epoch, validator, nonce, accumulator, signature, received_at)
       SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9
        WHERE NOT EXISTS (SELECT 1 FROM indexed WHERE accumulator <> $7) AND NOT EXISTS (SELECT 1 FROM kept)
       ON CONFLICT DO NOTHING
     )
     SELECT (SELECT accumulator FROM kept) AS kept, (SELECT accumulator FROM indexed) AS indexed`,
    [origin, destination, generation, epoch.toString(), validator, nonce.toString(), accumulator, signature, at],
  );
  return { kept: row?.kept ?? undefined, indexed: row?.indexed ?? undefined };
}

export type KeptAttestation = Attestation & { readonly generation: number };

/**
 * What validators have said about a lane from a nonce on. Whether it agrees with the lane's events is for the caller to
 * see: to join a lane's messages here takes as long as the lane is.
 */
export function keptAttestations(
  from: Queryable,
  lane: Lane,
  scope: AttestationScope & { readonly nonce: bigint },
): Promise<KeptAttestation[]> {
  return from.query<KeptAttestation>(
    `SELECT generation, validator, nonce, accumulator, signature FROM relay_attestations
      WHERE origin = $1 AND destination = $2 AND generation = $3 AND epoch = $4 AND nonce >= $5`,
    [lane.origin, lane.destination, scope.generation, scope.epoch.toString(), scope.nonce.toString()],
  );
}

export type ValidatorHead = {
  readonly validator: Hex;
  readonly lane: string;
  readonly nonce: bigint;
  readonly at: Date;
};

/** The newest matching attestation of every validator for every lane, whatever the generation. */
export async function validatorHeads(from: Queryable, epoch: bigint): Promise<ValidatorHead[]> {
  const rows = await from.query<Lane & { validator: Hex; nonce: bigint; received_at: Date }>(
    `SELECT DISTINCT ON (a.origin, a.destination, a.validator)
            a.origin, a.destination, a.validator, a.nonce, a.received_at
       FROM relay_attestations AS a
       JOIN relay_messages AS m
         ON m.origin = a.origin AND m.destination = a.destination AND m.nonce = a.nonce AND m.accumulator = a.accumulator
      WHERE a.epoch = $1
      ORDER BY a.origin, a.destination, a.validator, a.nonce DESC`,
    [epoch.toString()],
  );
  return rows.map((row) => ({ validator: row.validator, lane: laneName(row), nonce: row.nonce, at: row.received_at }));
}

/** Drops what no delivery will need again: below a nonce, all but each validator's newest. */
export async function pruneAttestations(to: Queryable, lane: Lane, below: bigint): Promise<void> {
  await to.query(
    `DELETE FROM relay_attestations AS a
      WHERE a.origin = $1 AND a.destination = $2 AND a.nonce < $3 AND EXISTS (
        SELECT 1 FROM relay_attestations AS b
         WHERE b.origin = a.origin AND b.destination = a.destination AND b.validator = a.validator AND b.nonce > a.nonce)`,
    [lane.origin, lane.destination, below.toString()],
  );
}
