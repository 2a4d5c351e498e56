import type { Queryable } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { Lane } from "../lane.ts";
import type { ProvenHead } from "./headSlots.ts";

/**
 * The ids of a lane's messages after `nonce`, up to the head, in order. Undefined when there are more than `most`, when
 * the service does not know all of them yet, and when it knows another head: a proof that it cannot lead up to is of no
 * use to it.
 */
export async function idsBetween(
  from: Queryable,
  { origin, destination }: Lane,
  nonce: bigint,
  head: ProvenHead,
  most: bigint,
): Promise<readonly Hex[] | undefined> {
  if (head.nonce < nonce || head.nonce - nonce > most) return undefined;
  // The message at `nonce` comes along, because with none after it its accumulator is what is proven.
  const rows = await from.query<{ nonce: bigint; onchain_id: Hex; accumulator: Hex }>(
    `SELECT nonce, onchain_id, accumulator FROM relay_messages
      WHERE origin = $1 AND destination = $2 AND nonce BETWEEN $3 AND $4 AND sent_final ORDER BY nonce`,
    [origin, destination, nonce.toString(), head.nonce.toString()],
  );
  const known = rows.filter((row) => row.nonce > nonce);
  if (BigInt(known.length) !== head.nonce - nonce || rows.at(-1)?.accumulator !== head.accumulator) return undefined;
  return known.map(({ onchain_id }) => onchain_id);
}
