import type { Migration, Queryable, Tx } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { assetKey } from "../assets.ts";
import { lockPromises, promisedAmounts } from "../promises.ts";
import type { Place } from "./pairs.ts";

export const deskMigrations: readonly Migration[] = [
  {
    id: "desk/001-used-quotes",
    sql: `
      create table swap_used_quotes (
        nonce text primary key,
        swap_id text not null,
        expires_at timestamptz not null
      );
      create index swap_used_quotes_expiry on swap_used_quotes (expires_at);
    `,
  },
];

/** What swaps that have not ended take or may take of an account's assets. Amounts in smallest units. */
export type Exposure = {
  /** Swaps in which the account gives the target leg. */
  readonly open: number;
  readonly openOfTaker: number;
  /** What they hold of the asset or were promised. */
  readonly committed: bigint;
  readonly committedOfTaker: bigint;
  /** What is still to leave the balance that the account had at the block, other swaps of the account included. */
  readonly promised: bigint;
};

type Question = {
  readonly desk: Hex;
  readonly taker?: Hex | undefined;
  readonly place: Place;
  /** The block at which the balance was read: what was locked after it is still in that balance. */
  readonly asOf: bigint;
};

/** As `exposureOf`, and makes whoever else promises or asks this way wait until the transaction ends. */
export async function lockExposure(tx: Tx, question: Question): Promise<Exposure> {
  await lockPromises(tx);
  return exposureOf(tx, question);
}

export async function exposureOf(from: Queryable, { desk, taker, place, asOf }: Question): Promise<Exposure> {
  const asset = assetKey(place.asset);
  const [counts] = await from.query<{ open: number; taker: number; committed: string; of_taker: string }>(
    `select count(*)::integer as open,
            (count(*) filter (where given.sender = $4))::integer as taker,
            coalesce(sum(taken.amount) filter (where taken.chain = $2 and taken.asset = $3), 0)::text as committed,
            coalesce(sum(taken.amount) filter (where taken.chain = $2 and taken.asset = $3 and given.sender = $4), 0)::text
              as of_taker
       from swap_legs taken
       join swap_legs given on given.swap_id = taken.swap_id and given.leg = 'source'
      where taken.sender = $1 and taken.leg = 'target' and not taken.ended`,
    [desk, place.chain, asset, taker ?? null],
  );
  const promised = await promisedAmounts(from, [{ chain: place.chain, account: desk, asset: place.asset, asOf }]);
  return {
    open: counts?.open ?? 0,
    openOfTaker: counts?.taker ?? 0,
    committed: BigInt(counts?.committed ?? 0),
    committedOfTaker: BigInt(counts?.of_taker ?? 0),
    promised: promised.values().next().value ?? 0n,
  };
}

/** Clocks of processes that share a database differ; a row that is kept too long harms nobody. */
const keptMs = 3_600_000;

/**
 * Marks a quote as used by a swap and removes marks of quotes that have long expired. Throws `quote-used` for one that
 * is marked, after the transaction that marks it has ended where one is under way. `now`: milliseconds since 1970.
 */
export async function useQuote(
  tx: Tx,
  quote: { readonly nonce: string; readonly expiresAt: bigint },
  swap: string,
  now: number,
): Promise<void> {
  await tx.query("delete from swap_used_quotes where expires_at < $1", [new Date(now - keptMs)]);
  const rows = await tx.query(
    "insert into swap_used_quotes (nonce, swap_id, expires_at) values ($1, $2, $3) on conflict do nothing returning nonce",
    [quote.nonce, swap, new Date(Number(quote.expiresAt) * 1000)],
  );
  if (rows.length > 0) return;
  const [used] = await tx.query<{ swap_id: string }>("select swap_id from swap_used_quotes where nonce = $1", [
    quote.nonce,
  ]);
  throw new LockstepError("quote-used", `the quote made the swap ${used?.swap_id}`, {
    details: { field: "quote", swap: used?.swap_id },
  });
}
