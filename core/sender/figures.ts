import type { Queryable } from "../db/db.ts";

/** Open intents of one kind at one account. */
type OpenFigures = {
  readonly chain: string;
  readonly account: string;
  readonly kind: string;
  readonly state: "queued" | "signed" | "included";
  readonly count: number;
  /** Milliseconds since the oldest of them was asked for. */
  readonly oldestMs: number;
};

/** Intents of one kind at one account that have ended, since the database was made. */
type EndedFigures = {
  readonly chain: string;
  readonly account: string;
  readonly kind: string;
  readonly succeeded: bigint;
  readonly reverted: bigint;
  readonly abandoned: bigint;
  readonly gasUsed: bigint;
  /** Wei paid for gas, as far as the nodes said what a gas cost; without what a rollup adds for its own chain. */
  readonly fees: bigint;
};

export type SenderFigures = { readonly open: readonly OpenFigures[]; readonly ended: readonly EndedFigures[] };

/** Two statements, whatever the number of intents: for metrics. */
export async function readFigures(from: Queryable, now: number): Promise<SenderFigures> {
  const open = await from.query<Omit<OpenFigures, "oldestMs"> & { asked_at: bigint }>(
    `SELECT chain, account, kind, state, count(*)::integer AS count, min(asked_at) AS asked_at FROM sender_intent
     WHERE state IN ('queued', 'signed', 'included') GROUP BY chain, account, kind, state
     ORDER BY chain, account, kind, state`,
  );
  const ended = await from.query<Omit<EndedFigures, "gasUsed" | "fees"> & { gas_used: string; fees: string }>(
    "SELECT * FROM sender_spent ORDER BY chain, account, kind",
  );
  return {
    open: open.map(({ asked_at, ...rest }) => ({ ...rest, oldestMs: Math.max(0, now - Number(asked_at)) })),
    ended: ended.map(({ gas_used, fees, ...rest }) => ({ ...rest, gasUsed: BigInt(gas_used), fees: BigInt(fees) })),
  };
}

/** An account that gets nothing into a block. */
export type StuckAccount = {
  readonly chain: string;
  readonly account: string;
  /** Its oldest intent in no block. */
  readonly intent: string;
  readonly kind: string;
  readonly ageMs: number;
  /** Code of what is in the way, of the oldest that has one; undefined when nothing is known. */
  readonly reason: string | undefined;
};

/** Accounts whose oldest intent in no block is older than its chain allows. */
export async function stuckAccounts(
  from: Queryable,
  bounds: readonly { chain: string; ms: number }[],
  now: number,
): Promise<StuckAccount[]> {
  const rows = await from.query<Omit<StuckAccount, "ageMs"> & { asked_at: bigint }>(
    `SELECT DISTINCT ON (i.chain, i.account) i.chain, i.account, i.id AS intent, i.kind, i.asked_at,
            first_value(i.waiting_code) OVER (
              PARTITION BY i.chain, i.account ORDER BY i.waiting_code IS NULL, i.place) AS reason
     FROM sender_intent i JOIN unnest($1::text[], $2::bigint[]) AS b (chain, before) ON b.chain = i.chain
     WHERE i.state IN ('queued', 'signed') AND i.asked_at < b.before
     ORDER BY i.chain, i.account, i.asked_at, i.place`,
    [bounds.map(({ chain }) => chain), bounds.map(({ ms }) => now - ms)],
  );
  return rows.map(({ asked_at, reason, ...rest }) => {
    return { ...rest, ageMs: now - Number(asked_at), reason: reason ?? undefined };
  });
}
