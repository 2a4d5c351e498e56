import type { Queryable } from "#core/db/db.ts";
import { type SwapStatus, swapStatuses } from "./status.ts";

/** Which swaps a list has; all where nothing is named. */
export type SwapFilter = {
  readonly status?: SwapStatus | undefined;
  /** Of one of the two legs. */
  readonly chain?: string | undefined;
  /** Managed account that sends for the swap. */
  readonly account?: string | undefined;
  /** That gives or gets something. */
  readonly address?: string | undefined;
  /** Requested at this time or later. */
  readonly since?: Date | undefined;
  /** Requested before this time. */
  readonly until?: Date | undefined;
};

/** Statuses that nothing follows; all other swaps are still looked at. */
const ends: ReadonlySet<SwapStatus> = new Set(["completed", "refunded", "failed", "initiatorLost", "counterpartyLost"]);

/** A page of swap ids, newest first, after the cursor (a position). `now`: Unix seconds, which statuses depend on. */
export async function listSwapIds(
  db: Queryable,
  filter: SwapFilter,
  page: { readonly before: bigint | undefined; readonly limit: number; readonly now: bigint },
): Promise<{ id: string; cursor: bigint }[]> {
  const params: unknown[] = [page.limit];
  const given = (value: unknown) => `$${params.push(value)}`;
  const ofLeg = (condition: string) => `exists (select 1 from swap_legs l where l.swap_id = w.id and (${condition}))`;
  const { status, chain, account, address, since, until } = filter;
  const conditions = [
    ...(page.before === undefined ? [] : [`w.requested_at_position < ${given(page.before)}`]),
    ...(chain === undefined ? [] : [ofLeg(`l.chain = ${given(chain)}`)]),
    ...(account === undefined ? [] : [ofLeg(eitherOf("claimer", "refunder", given(account)))]),
    ...(address === undefined ? [] : [ofLeg(eitherOf("sender", "recipient", given(address)))]),
    ...(since === undefined ? [] : [`w.requested_at >= ${given(since)}`]),
    ...(until === undefined ? [] : [`w.requested_at < ${given(until)}`]),
    ...(status === undefined || ends.has(status) ? [] : ["w.due_at is not null"]),
    ...(status === undefined ? [] : [`${statusSql(given(page.now))} = ${given(status)}`]),
  ];
  const where = conditions.length > 0 ? `where ${conditions.join(" and ")}` : "";
  const rows = await db.query<{ id: string; requested_at_position: bigint }>(
    `select w.id, w.requested_at_position from swaps w ${where} order by w.requested_at_position desc limit $1`,
    params,
  );
  return rows.map((row) => ({ id: row.id, cursor: row.requested_at_position }));
}

/** Swaps that are still looked at, by status. */
export type OpenSwaps = {
  readonly status: SwapStatus;
  readonly count: number;
  /**
   * The nearest timelock, in Unix seconds, of a lock that a managed account may still claim, or that one may refund by now;
   * undefined where there is none.
   */
  readonly deadline: bigint | undefined;
};

/** How many swaps there are in each status that is not an end. `now`: Unix seconds. */
export async function readOpenSwaps(db: Queryable, now: bigint): Promise<OpenSwaps[]> {
  const rows = await db.query<{ status: SwapStatus; count: number; deadline: bigint | null }>(
    `select status, count(*)::integer as count, min(deadline) as deadline from (
       select ${statusSql("$1::bigint")} as status, (
         select min(l.timelock) from swap_legs l
          where l.swap_id = w.id and ${isOpen("l")}
            and case when $1 < l.timelock then l.claimer else l.refunder end is not null) as deadline
       from swaps w where w.due_at is not null) as open group by status`,
    [now],
  );
  const found = new Map(rows.map((row) => [row.status, row]));
  return swapStatuses
    .filter((status) => !ends.has(status))
    .map((status) => ({
      status,
      count: found.get(status)?.count ?? 0,
      deadline: found.get(status)?.deadline ?? undefined,
    }));
}

const eitherOf = (one: string, other: string, value: string) => `l.${one} = ${value} or l.${other} = ${value}`;

const isOpen = (leg: string) => `(${leg}.lock_block is not null and ${leg}.end_kind is null)`;
const isSettled = (leg: string, other: string) =>
  `(${leg}.end_final or (${leg}.lock_block is null and (w.given_up or ${other}.end_final)))`;
const isInFlight = (leg: string) => `(${leg}.lock_started and ${leg}.lock_block is null)`;
const isUntouched = (leg: string) => `(${leg}.lock_block is null and ${leg}.end_kind is null)`;
const isLocked = (leg: string) => `(${leg}.lock_block is not null and ${leg}.end_kind is null and ${leg}.lock_final)`;

/** What `statusOf` says, on the columns of the read model; a test holds the two together. */
const statusSql = (now: string): string => `(
  select case
    when s.end_final and t.end_final then case
      when s.end_kind = 'claim' and t.end_kind = 'claim' then 'completed'
      when s.end_kind = 'claim' then 'initiatorLost'
      when t.end_kind = 'claim' then 'counterpartyLost'
      else 'refunded' end
    when ${isSettled("s", "t")} and ${isSettled("t", "s")} and not ${isInFlight("s")} and not ${isInFlight("t")}
      then case when ${isUntouched("s")} and ${isUntouched("t")} then 'failed' else 'refunded' end
    when s.end_kind = 'refund' or t.end_kind = 'refund' then 'refunding'
    when (${isOpen("s")} and ${now} >= s.timelock) or (${isOpen("t")} and ${now} >= t.timelock) then 'refunding'
    when w.given_up and (${isOpen("s")} or ${isOpen("t")}) then 'refunding'
    when w.revealing or s.end_kind = 'claim' or t.end_kind = 'claim' then 'revealed'
    when ${isLocked("t")} then 'targetLocked'
    when ${isLocked("s")} then 'sourceLocked'
    else 'requested' end
  from swap_legs s, swap_legs t
  where s.swap_id = w.id and s.leg = 'source' and t.swap_id = w.id and t.leg = 'target')`;
