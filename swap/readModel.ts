import type { Migration, Queryable, Tx } from "#core/db/db.ts";
import type { Projection, StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { gather, togetherOrAlone } from "#core/kernel/gather.ts";
import { assetKey } from "./assets.ts";
import { type Asset, type LegName, type SwapEvent, swapEvents } from "./events.ts";

export const readModelMigrations: readonly Migration[] = [
  {
    id: "swap/002-read-model",
    sql: `
      create table swaps (
        id text primary key,
        requested_at_position bigint not null unique,
        hashlock text not null unique,
        version integer not null,
        due_at timestamptz
      );
      create index swaps_due on swaps (due_at) where due_at is not null;
      create table swap_legs (
        lock_id text primary key,
        swap_id text not null,
        leg text not null,
        chain text not null,
        sender text not null,
        asset text not null,
        amount numeric not null,
        -- the amount is still to leave the sender's balance
        pending boolean not null default true,
        lock_block bigint,
        lock_final boolean not null default false,
        end_block bigint,
        end_kind text,
        end_final boolean not null default false
      );
      create index swap_legs_swap on swap_legs (swap_id);
      create index swap_legs_pending on swap_legs (chain, sender, asset) where pending;
      create index swap_legs_open_lock on swap_legs (chain, lock_block) where lock_block is not null and not lock_final;
      create index swap_legs_open_end on swap_legs (chain, end_block) where end_block is not null and not end_final;
    `,
  },
  {
    id: "swap/003-legs-by-block",
    sql: "create index swap_legs_lock_block on swap_legs (chain, lock_block) where lock_block is not null",
  },
];

/** The legs that on-chain lock ids belong to. */
type LegRow = { readonly swapId: string; readonly leg: LegName };

/** How swaps are found: by what chains show of their legs, and by when they are to be looked at. */
export type SwapIndex = {
  /** The legs behind on-chain lock ids of one chain; locks of others are absent. */
  legsByLockId(from: Queryable, chain: string, lockIds: readonly Hex[]): Promise<ReadonlyMap<Hex, LegRow>>;
  /** Swaps with something on the chain that is not final yet, above or up to a height. */
  unfinal(from: Queryable, chain: string, height: bigint, side: "above" | "upTo"): Promise<string[]>;
  /** Swaps with something on the chain above a height, final or not. */
  above(from: Queryable, chain: string, height: bigint): Promise<string[]>;
  /**
   * When the scheduler looks at a swap next; undefined when it has ended. Says nothing when something happened to the swap
   * since it was loaded: what happened then decides.
   */
  schedule(swap: { readonly id: string; readonly version: number }, at: Date | undefined): Promise<void>;
  /** Puts off a swap that could not be looked at, so that others get their turn. */
  postpone(id: string, at: Date): Promise<void>;
  /** Swaps whose time has come, the most overdue first. */
  due(now: Date, limit: number): Promise<string[]>;
};

/** Swaps whose next look is written down in one statement. */
const mostAtOnce = 100;

async function scheduleAll(
  db: Queryable,
  items: readonly { readonly id: string; readonly version: number; readonly at: Date | undefined }[],
): Promise<undefined[]> {
  await db.query(
    `update swaps set due_at = next.at from unnest($1::text[], $2::integer[], $3::timestamptz[]) as next (id, version, at)
      where swaps.id = next.id and swaps.version = next.version`,
    [items.map(({ id }) => id), items.map(({ version }) => version), items.map(({ at }) => at ?? null)],
  );
  return items.map(() => undefined);
}

/** The index on the tables of `swapProjection`. */
export function createSwapIndex(db: Queryable): SwapIndex {
  const schedule = gather(
    togetherOrAlone((items: readonly { id: string; version: number; at: Date | undefined }[]) => {
      return scheduleAll(db, items);
    }),
    mostAtOnce,
  );
  return {
    legsByLockId,
    unfinal: unfinalSwapIds,
    above: swapIdsAbove,
    schedule: (swap, at) => schedule({ ...swap, at }),
    async postpone(id, at) {
      await db.query("update swaps set due_at = $2 where id = $1", [id, at]);
    },
    async due(now, limit) {
      const sql = "select id from swaps where due_at <= $1 order by due_at limit $2";
      const rows = await db.query<{ id: string }>(sql, [now, limit]);
      return rows.map(({ id }) => id);
    },
  };
}

/** A swap that just changed is looked at by its job; this is when the scheduler looks, should the job be lost. */
const lostJobSeconds = 2;

/** Keeps the list of swaps and the way from an on-chain lock id to its swap. */
export const swapProjection: Projection = {
  name: "swaps",
  handles: Object.keys(swapEvents),
  tables: ["swaps", "swap_legs"],
  async apply(tx, events) {
    const all = events as readonly StoredEvent<SwapEvent>[];
    await insertSwaps(
      tx,
      all.filter((event): event is Requested => event.type === "SwapRequested"),
    );
    // What several events say about one swap is applied in their order, what they say about different ones at once.
    let left = all.flatMap((event) => legChanges(event));
    while (left.length > 0) {
      const swaps = new Set<string>();
      const now = left.filter(({ id }) => swaps.size < swaps.add(id).size);
      left = left.filter((change) => !now.includes(change));
      await changeLegs(tx, now);
    }
    await lookSoon(tx, all);
  },
};

const idOf = ({ stream }: StoredEvent<SwapEvent>): string => stream.slice("swap-".length);

/** Every swap that changed is looked at soon, should its job be lost. */
async function lookSoon(tx: Tx, events: readonly StoredEvent<SwapEvent>[]): Promise<void> {
  const last = [...new Map(events.map((event) => [idOf(event), event])).values()];
  await tx.query(
    `update swaps set due_at = least(due_at, changed.due), version = changed.version
       from unnest($1::text[], $2::timestamptz[], $3::integer[]) as changed (id, due, version)
      where swaps.id = changed.id`,
    [
      last.map(idOf),
      last.map(({ at }) => new Date(at.getTime() + lostJobSeconds * 1000)),
      last.map((each) => each.version),
    ],
  );
}

type Requested = Extract<StoredEvent<SwapEvent>, { type: "SwapRequested" }>;

async function insertSwaps(tx: Tx, events: readonly Requested[]): Promise<void> {
  if (events.length === 0) return;
  await tx.query(
    `insert into swaps (id, requested_at_position, hashlock, version, due_at)
     select * from unnest($1::text[], $2::bigint[], $3::text[], $4::integer[], $5::timestamptz[])`,
    [
      events.map(idOf),
      events.map(({ position }) => position),
      events.map(({ data }) => data.hashlock),
      events.map(({ version }) => version),
      events.map(({ at }) => at),
    ],
  );
  const legs = events.flatMap((event) =>
    (["source", "target"] as const).map((leg) => {
      const { asset, ...terms } = event.data[leg];
      return { swapId: idOf(event), leg, ...terms, asset: assetKey(asset) };
    }),
  );
  const columns = ["lockId", "swapId", "leg", "chain", "sender", "asset", "amount"] as const;
  await tx.query(
    `insert into swap_legs (lock_id, swap_id, leg, chain, sender, asset, amount)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::numeric[])`,
    columns.map((name) => legs.map((each) => each[name])),
  );
}

/** What an event says about a leg, or without one about both. */
type LegChange = {
  readonly id: string;
  readonly leg?: LegName;
  readonly set: string;
  readonly block?: bigint;
  readonly lockId?: Hex;
};

/** Changes of the same kind in one statement. */
async function changeLegs(tx: Tx, changes: readonly LegChange[]): Promise<void> {
  for (const [set, alike] of Map.groupBy(changes, (change) => change.set)) {
    await tx.query(
      `update swap_legs set ${set}
         from unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) as changed (id, leg, block, lock_id)
        where swap_id = changed.id and swap_legs.leg = coalesce(changed.leg, swap_legs.leg)`,
      [
        alike.map(({ id }) => id),
        alike.map(({ leg }) => leg ?? null),
        alike.map(({ block }) => block ?? null),
        alike.map(({ lockId }) => lockId ?? null),
      ],
    );
  }
}

function legChanges(event: StoredEvent<SwapEvent>): LegChange[] {
  const id = idOf(event);
  switch (event.type) {
    case "SwapGivenUp":
      return [{ id, set: "pending = false" }];
    case "LegPlaced":
      return [{ id, leg: event.data.leg, set: "lock_id = changed.lock_id", lockId: event.data.lockId }];
    case "LegDetected": {
      const set = "lock_block = changed.block, lock_final = false, pending = false";
      return [{ id, leg: event.data.leg, set, block: event.data.blockNumber }];
    }
    case "LegLocked":
      return [{ id, leg: event.data.leg, set: "lock_final = true" }];
    case "LegClaimed":
    case "LegRefunded": {
      const kind = event.type === "LegClaimed" ? "claim" : "refund";
      const set = `end_block = changed.block, end_kind = '${kind}', end_final = false`;
      return [{ id, leg: event.data.leg, set, block: event.data.blockNumber }];
    }
    case "LegClaimFinalized":
    case "LegRefundFinalized":
      return [{ id, leg: event.data.leg, set: "end_final = true" }];
    case "LegReorged": {
      const isLock = event.data.undone === "lock";
      const set = isLock ? "lock_block = null, pending = true" : "end_block = null, end_kind = null";
      return [{ id, leg: event.data.leg, set }];
    }
    default:
      return [];
  }
}

/** Makes whoever else asks wait until this transaction ends, so that two requests cannot promise the same coins. */
export async function lockPromises(tx: Tx): Promise<void> {
  await tx.query("select pg_advisory_xact_lock(hashtextextended('lockstep swap promises', 0))");
}

/** Which of the hashlocks swaps of this service have, or locks or claims on any of its chains ever showed. */
export async function knownHashlocks(from: Queryable, hashlocks: readonly Hex[]): Promise<Set<Hex>> {
  const rows = await from.query<{ hashlock: Hex }>(
    `select hashlock from swaps where hashlock = any($1)
     union select hashlock from lock_hashlocks where hashlock = any($1)`,
    [hashlocks],
  );
  return new Set(rows.map(({ hashlock }) => hashlock));
}

/** A balance that was read at a block. */
type Balance = { readonly chain: string; readonly account: Hex; readonly asset: Asset; readonly asOf: bigint };

/**
 * What is still to leave balances for swaps of this service: what was promised and not locked, or was locked after the
 * block of the balance. By `chain account asset`, where there is any. The caller holds `lockPromises`.
 */
export async function promisedAmounts(tx: Tx, balances: readonly Balance[]): Promise<Map<string, bigint>> {
  const rows = await tx.query<{ chain: string; sender: string; asset: string; amount: string }>(
    `select leaving.chain, leaving.sender, leaving.asset, sum(amount)::text as amount
       from (select chain, sender, asset, min(as_of) as as_of
               from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as given (chain, sender, asset, as_of)
              group by 1, 2, 3) as asked
       join lateral (
         select chain, sender, asset, amount from swap_legs l join swaps on swaps.id = l.swap_id
          where pending and due_at is not null
            and l.chain = asked.chain and l.sender = asked.sender and l.asset = asked.asset
         union all
         select chain, sender, asset, amount from swap_legs l
          where not pending and l.chain = asked.chain and lock_block > asked.as_of
            and l.sender = asked.sender and l.asset = asked.asset
       ) as leaving on true
      group by 1, 2, 3`,
    [
      balances.map(({ chain }) => chain),
      balances.map(({ account }) => account),
      balances.map(({ asset }) => assetKey(asset)),
      balances.map(({ asOf }) => asOf),
    ],
  );
  return new Map(rows.map(({ chain, sender, asset, amount }) => [`${chain} ${sender} ${asset}`, BigInt(amount)]));
}

/** Swaps with a leg on the chain that have not ended, or of which that was not seen yet. */
export async function countOpenSwaps(from: Queryable, chain: string): Promise<number> {
  const [row] = await from.query<{ count: number }>(
    `select count(*)::integer as count from swaps
      where due_at is not null and exists (select 1 from swap_legs where swap_id = swaps.id and chain = $1)`,
    [chain],
  );
  return row?.count ?? 0;
}

/** Page of swap ids, newest first, after the cursor (a position). */
export async function listSwapIds(
  db: Queryable,
  before: bigint | undefined,
  limit: number,
): Promise<{ id: string; cursor: bigint }[]> {
  const rows = await db.query<{ id: string; requested_at_position: bigint }>(
    `select id, requested_at_position from swaps
     where $1::bigint is null or requested_at_position < $1 order by requested_at_position desc limit $2`,
    [before ?? null, limit],
  );
  return rows.map((row) => ({ id: row.id, cursor: row.requested_at_position }));
}

/** The service's id of a swap, found by that id, its hashlock or the on-chain id of one of its locks. */
export async function findSwapId(db: Queryable, reference: string): Promise<string | undefined> {
  const [row] = await db.query<{ id: string }>(
    `select id from swaps where id = $1 or hashlock = $1
     union select swap_id from swap_legs where lock_id = $1`,
    [reference],
  );
  return row?.id;
}

async function legsByLockId(from: Queryable, chain: string, lockIds: readonly Hex[]): Promise<Map<Hex, LegRow>> {
  const rows = await from.query<{ lock_id: Hex; swap_id: string; leg: LegName }>(
    "select lock_id, swap_id, leg from swap_legs where chain = $1 and lock_id = any($2)",
    [chain, lockIds],
  );
  return new Map(rows.map((row) => [row.lock_id, { swapId: row.swap_id, leg: row.leg }]));
}

async function unfinalSwapIds(
  from: Queryable,
  chain: string,
  height: bigint,
  side: "above" | "upTo",
): Promise<string[]> {
  const compare = side === "above" ? ">" : "<=";
  const rows = await from.query<{ swap_id: string }>(
    `select swap_id from swap_legs where chain = $1 and lock_block ${compare} $2 and lock_block is not null and not lock_final
     union select swap_id from swap_legs where chain = $1 and end_block ${compare} $2 and end_block is not null and not end_final`,
    [chain, height],
  );
  return rows.map((row) => row.swap_id);
}

async function swapIdsAbove(from: Queryable, chain: string, height: bigint): Promise<string[]> {
  const rows = await from.query<{ swap_id: string }>(
    "select distinct swap_id from swap_legs where chain = $1 and (lock_block > $2 or end_block > $2)",
    [chain, height],
  );
  return rows.map((row) => row.swap_id);
}
