import type { Queryable, Tx } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { assetKey } from "./assets.ts";
import type { Asset } from "./events.ts";

/** Makes whoever else asks wait until this transaction ends, so that two requests cannot promise the same coins. */
export async function lockPromises(tx: Tx): Promise<void> {
  await tx.query("select pg_advisory_xact_lock(hashtextextended('lockstep swap promises', 0))");
}

/** The coin as an asset, in SQL. */
export const coinKey = `'${assetKey({ type: "native" })}'`;

/** Legs of which the lock takes something of an asset, as `l`: tips are coin, whatever is locked. */
export const takes = (asset: string): string => `(l.asset = ${asset} or (${asset} = ${coinKey} and l.tip > 0))`;

/** How much of it. */
export const amountOf = (asset: string): string => `
  case when l.asset = ${asset} then l.amount else 0 end + case when ${asset} = ${coinKey} then l.tip else 0 end`;

/** A balance that was read at a block. */
type Balance = { readonly chain: string; readonly account: Hex; readonly asset: Asset; readonly asOf: bigint };

/**
 * What is still to leave balances for swaps of this service: what was promised and not locked, or was locked after the
 * block of the balance. By `chain account asset`, where there is any. The caller holds `lockPromises`.
 */
export async function promisedAmounts(from: Queryable, balances: readonly Balance[]): Promise<Map<string, bigint>> {
  const rows = await from.query<{ chain: string; sender: string; asset: string; amount: string }>(
    `select asked.chain, asked.sender, asked.asset, leaving.amount::text as amount
       from (select chain, sender, asset, min(as_of) as as_of
               from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as given (chain, sender, asset, as_of)
              group by 1, 2, 3) as asked
       join lateral (
         select sum(${amountOf("asked.asset")}) as amount from (
           select asset, amount, tip from swap_legs l
            where pending and not ended and l.chain = asked.chain and l.sender = asked.sender and ${takes("asked.asset")}
           union all
           select asset, amount, tip from swap_legs l
            where not pending and l.chain = asked.chain and lock_block > asked.as_of
              and l.sender = asked.sender and ${takes("asked.asset")}
         ) as l
       ) as leaving on leaving.amount is not null`,
    [
      balances.map(({ chain }) => chain),
      balances.map(({ account }) => account),
      balances.map(({ asset }) => assetKey(asset)),
      balances.map(({ asOf }) => asOf),
    ],
  );
  return new Map(rows.map(({ chain, sender, asset, amount }) => [`${chain} ${sender} ${asset}`, BigInt(amount)]));
}
