import type { Queryable, Tx } from "#core/db/db.ts";
import type { Projection, StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { gather, togetherOrAlone } from "#core/kernel/gather.ts";
import { assetKey } from "./assets.ts";
import { type LegName, type SwapEvent, swapEvents } from "./events.ts";
import { legOf, senderOf } from "./parties.ts";

/** The legs that on-chain lock ids belong to. */
type LegRow = { readonly swapId: string; readonly leg: LegName };

/** How swaps are found: by what chains show of their legs, and by when they are to be looked at. */
export type SwapIndex = {
  /** The legs behind on-chain lock ids of one chain; locks of others are absent. */
  legsByLockId(from: Queryable, chain: string, lockIds: readonly Hex[]): Promise<ReadonlyMap<Hex, LegRow>>;
  /** The swaps that these hashlocks are of; those of others are absent. */
  byHashlock(from: Queryable, hashlocks: readonly Hex[]): Promise<ReadonlyMap<Hex, string>>;
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
  due(now: Date, limit: number, except?: readonly string[]): Promise<string[]>;
};

/** Swaps whose next look is written down in one statement. */
const mostAtOnce = 100;

async function scheduleAll(
  db: Queryable,
  items: readonly { readonly id: string; readonly version: number; readonly at: Date | undefined }[],
): Promise<undefined[]> {
  await db.query(
    `with scheduled as (
       update swaps set due_at = next.at from unnest($1::text[], $2::integer[], $3::timestamptz[]) as next (id, version, at)
        where swaps.id = next.id and swaps.version = next.version
       returning swaps.id, swaps.due_at is null as ended
     )
     update swap_legs set ended = scheduled.ended from scheduled
      where swap_id = scheduled.id and swap_legs.ended <> scheduled.ended`,
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
    async byHashlock(from, hashlocks) {
      if (hashlocks.length === 0) return new Map();
      const sql = "select id, hashlock from swaps where hashlock = any($1)";
      const rows = await from.query<{ id: string; hashlock: Hex }>(sql, [hashlocks]);
      return new Map(rows.map(({ id, hashlock }) => [hashlock, id]));
    },
    unfinal: unfinalSwapIds,
    above: swapIdsAbove,
    schedule: (swap, at) => schedule({ ...swap, at }),
    async postpone(id, at) {
      await db.query("update swaps set due_at = $2 where id = $1 and due_at is not null", [id, at]);
    },
    async due(now, limit, except = []) {
      const sql = "select id from swaps where due_at <= $1 and not id = any($3) order by due_at limit $2";
      const rows = await db.query<{ id: string }>(sql, [now, limit, except]);
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
  besides: { swaps: ["due_at"], swap_legs: ["ended"] },
  async apply(tx, events) {
    const all = events as readonly StoredEvent<SwapEvent>[];
    await insertSwaps(
      tx,
      all.filter((event): event is Requested => event.type === "SwapRequested"),
    );
    await markSwaps(tx, all);
    // Swaps before their legs, as whoever schedules them does.
    await lookSoon(tx, all);
    // What several events say about one swap is applied in their order, what they say about different ones at once.
    let left = all.flatMap((event) => legChanges(event));
    while (left.length > 0) {
      const swaps = new Set<string>();
      const now = left.filter(({ id }) => swaps.size < swaps.add(id).size);
      left = left.filter((change) => !now.includes(change));
      await changeLegs(tx, now);
    }
  },
};

const idOf = ({ stream }: StoredEvent<SwapEvent>): string => stream.slice("swap-".length);

/** Every swap that changed is looked at soon, should its job be lost; one that had ended goes on. */
async function lookSoon(tx: Tx, events: readonly StoredEvent<SwapEvent>[]): Promise<void> {
  const last = [...new Map(events.map((event) => [idOf(event), event])).values()];
  const touched = await tx.query<{ id: string; ended: boolean }>(
    `with before as materialized (
       select id, due_at is null as ended from swaps where id = any($1::text[]) order by id for update
     )
     update swaps set due_at = least(due_at, changed.due), version = changed.version
       from before, unnest($1::text[], $2::timestamptz[], $3::integer[]) as changed (id, due, version)
      where swaps.id = changed.id and before.id = changed.id
      returning swaps.id, before.ended`,
    [
      last.map(idOf),
      last.map(({ at }) => new Date(at.getTime() + lostJobSeconds * 1000)),
      last.map((each) => each.version),
    ],
  );
  const revived = touched.filter(({ ended }) => ended).map(({ id }) => id);
  if (revived.length > 0) await tx.query("update swap_legs set ended = false where swap_id = any($1)", [revived]);
}

/** Keeps the marks of whole swaps that their status rests on; the last word of each kind counts. */
async function markSwaps(tx: Tx, events: readonly StoredEvent<SwapEvent>[]): Promise<void> {
  const revealing = new Map<string, boolean>();
  const givenUp = new Set<string>();
  for (const event of events) {
    if (event.type === "RevealStarted") revealing.set(idOf(event), true);
    if (event.type === "RevealWithdrawn") revealing.set(idOf(event), false);
    if (event.type === "SwapGivenUp") givenUp.add(idOf(event));
  }
  if (givenUp.size > 0) await tx.query("update swaps set given_up = true where id = any($1)", [[...givenUp]]);
  if (revealing.size === 0) return;
  await tx.query(
    `update swaps set revealing = changed.revealing from unnest($1::text[], $2::boolean[]) as changed (id, revealing)
      where swaps.id = changed.id`,
    [[...revealing.keys()], [...revealing.values()]],
  );
}

type Requested = Extract<StoredEvent<SwapEvent>, { type: "SwapRequested" }>;

async function insertSwaps(tx: Tx, events: readonly Requested[]): Promise<void> {
  if (events.length === 0) return;
  await tx.query(
    `insert into swaps (id, requested_at_position, hashlock, version, due_at, requested_at)
     select *, due_at from unnest($1::text[], $2::bigint[], $3::text[], $4::integer[], $5::timestamptz[])
       as made (id, requested_at_position, hashlock, version, due_at)`,
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
      const [claimer, refunder] = [senderOf(event.data, `claim-${leg}`), senderOf(event.data, `refund-${leg}`)];
      return { swapId: idOf(event), leg, ...terms, asset: assetKey(asset), claimer, refunder };
    }),
  );
  const told = ["lockId", "swapId", "leg", "chain", "sender", "asset", "amount", "claimer", "refunder"] as const;
  const columns = [...told, "recipient", "timelock", "tip"] as const;
  await tx.query(
    `insert into swap_legs (lock_id, swap_id, leg, chain, sender, asset, amount, claimer, refunder, recipient, timelock, tip)
     select * from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::numeric[], $8::text[],
                          $9::text[], $10::text[], $11::bigint[], $12::numeric[])`,
    columns.map((name) => legs.map((each) => each[name] ?? null)),
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

/** By the marks, which are those after all events that are recorded together: the one that gives up has the last word. */
const isGivenUp = "(select given_up from swaps where swaps.id = swap_id)";

function legChanges(event: StoredEvent<SwapEvent>): LegChange[] {
  const id = idOf(event);
  switch (event.type) {
    case "SwapGivenUp":
      // A lock that was sent may still be mined.
      return [{ id, set: "pending = lock_started and lock_block is null" }];
    case "StepStarted":
    case "StepFailed": {
      const { step } = event.data;
      if (step !== "lock-source" && step !== "lock-target") return [];
      if (event.type === "StepStarted") return [{ id, leg: legOf(step), set: "lock_started = true" }];
      return [{ id, leg: legOf(step), set: `lock_started = false, pending = pending and not ${isGivenUp}` }];
    }
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
      const noEnd = "end_block = null, end_kind = null, end_final = false";
      const isLock = event.data.undone === "lock";
      const set = isLock ? `lock_block = null, lock_final = false, pending = true, ${noEnd}` : noEnd;
      return [{ id, leg: event.data.leg, set }];
    }
    default:
      return [];
  }
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

/** Swaps with a leg on the chain that have not ended, or of which that was not seen yet. */
export async function countOpenSwaps(from: Queryable, chain: string): Promise<number> {
  const [row] = await from.query<{ count: number }>(
    `select count(*)::integer as count from swaps
      where due_at is not null and exists (select 1 from swap_legs where swap_id = swaps.id and chain = $1)`,
    [chain],
  );
  return row?.count ?? 0;
}

/**
 * The service's id of a swap, archived or not, found by that id, the on-chain id of one of its locks, or its hashlock, in this order: an
 * external initiator names its hashlock, and could name a lock of others.
 */
export async function findSwapId(db: Queryable, reference: string): Promise<string | undefined> {
  const [row] = await db.query<{ id: string }>(
    `select id from (
       select id, 1 as place from swaps where id = $1
       union all select swap_id, 2 from swap_legs where lock_id = $1
       union all select id, 3 from swaps where hashlock = $1
       union all select substr(stream, length('swap-') + 1), rank from event_archive_keys where kind = 'swap' and key = $1
     ) as found order by place limit 1`,
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
