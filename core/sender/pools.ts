import type { Db, Queryable, Tx } from "../db/db.ts";
import { allocate, type Load, type PoolKey } from "./allocation.ts";
import { costOf } from "./purse.ts";
import { type PlacedIntent, senderChannel } from "./rows.ts";
import type { IntentRequest } from "./sender.ts";

/** What is known of an account on a chain besides its rows. */
export type AccountState = { readonly fit: boolean; readonly free?: bigint | undefined; readonly maxFee?: bigint };

/** Gives intents that name a pool to its accounts. */
export type Pools = {
  /** The intents, each with one account. Waits for others that place intents at the same pool until they commit. */
  place(tx: Tx, intents: readonly IntentRequest[]): Promise<PlacedIntent[]>;
  /** Gives to others what waits at an account without a nonce, and stands behind nothing that has one. */
  relieve(chain: string, account: string): Promise<void>;
};

export function createPools(deps: {
  db: Db;
  /** Accounts by pool, at least one each. */
  pools: Readonly<Record<string, readonly string[]>>;
  stateOf(chain: string, account: string): AccountState;
}): Pools {
  const { db, pools, stateOf } = deps;

  const maxFeeOf = (chain: string, accounts: readonly string[]) =>
    accounts.map((account) => stateOf(chain, account).maxFee ?? 0n).reduce((a, b) => (a > b ? a : b), 0n);

  async function placeAt(tx: Tx, pool: string, chain: string, intents: readonly IntentRequest[]) {
    const accounts = pools[pool] ?? [];
    await lock(tx, chain, pool);
    const pending = await pendingOf(tx, chain, accounts);
    const subjects = [...new Set(intents.map(({ subject }) => subject))];
    const held = await holders(tx, { chain, pool, subjects });
    const keys = accounts.map(
      (account): PoolKey => ({
        account,
        pending: pending.get(account) ?? 0,
        free: undefined,
        ...stateOf(chain, account),
      }),
    );
    return allocate(keys, held, loadsOf(intents, maxFeeOf(chain, accounts)));
  }

  return {
    async place(tx, intents) {
      const groups = Map.groupBy(
        intents.filter(({ account }) => account in pools),
        ({ account, chain }) => JSON.stringify([chain, account]),
      );
      const chosen = new Map<string, string>();
      for (const [, group] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
        const [{ account: pool, chain } = { account: "", chain: "" }] = group;
        for (const [id, account] of await placeAt(tx, pool, chain, group)) chosen.set(id, account);
      }
      return intents.map((intent) => {
        const account = intent.account in pools ? chosen.get(intent.id) : undefined;
        return account === undefined ? intent : { ...intent, account, pool: intent.account };
      });
    },
    async relieve(chain, account) {
      for (const [pool, accounts] of Object.entries(pools)) {
        if (accounts.length > 1 && accounts.includes(account)) await relievePool(chain, account, pool);
      }
    },
  };

  async function relievePool(chain: string, account: string, pool: string): Promise<void> {
    const others = (pools[pool] ?? []).filter((each) => each !== account);
    await db.tx(async (tx) => {
      await lock(tx, chain, pool);
      const rows = await movable(tx, chain, account, pool);
      if (rows.length === 0) return;
      const pending = await pendingOf(tx, chain, others);
      const maxFee = maxFeeOf(chain, [account, ...others]);
      const loads = rows.map(
        ({ id, subject, gas, value }): Load => ({ id, subject, cost: BigInt(value ?? 0) + gas * maxFee }),
      );
      const dearest = loads.reduce((most, { cost }) => (cost > most ? cost : most), 0n);
      const keys = others
        .map((each) => ({ account: each, pending: pending.get(each) ?? 0, free: undefined, ...stateOf(chain, each) }))
        .filter(({ fit, free }) => fit && (free === undefined || free >= dearest));
      if (keys.length === 0) return;
      const chosen = allocate(keys, new Map(), loads);
      await move(tx, chain, [...chosen]);
    });
  }
}

/** Two that place at once would each see a free pool, and could tear a subject apart. */
async function lock(tx: Tx, chain: string, pool: string): Promise<void> {
  await tx.query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [`lockstep pool ${chain} ${pool}`]);
}

async function pendingOf(from: Queryable, chain: string, accounts: readonly string[]): Promise<Map<string, number>> {
  const rows = await from.query<{ account: string; pending: number }>(
    `SELECT account, count(*)::integer AS pending FROM sender_intent
     WHERE chain = $1 AND account = ANY($2) AND state IN ('queued', 'signed') GROUP BY account`,
    [chain, accounts],
  );
  return new Map(rows.map(({ account, pending }) => [account, pending]));
}

/** Accounts that open intents of subjects are at. */
async function holders(
  from: Queryable,
  wanted: { chain: string; pool: string; subjects: readonly string[] },
): Promise<Map<string, string>> {
  const rows = await from.query<{ subject: string; account: string }>(
    `SELECT DISTINCT ON (subject) subject, account FROM sender_intent
     WHERE chain = $1 AND pool = $2 AND subject = ANY($3) AND state IN ('queued', 'signed', 'included')
     ORDER BY subject, place DESC`,
    [wanted.chain, wanted.pool, wanted.subjects],
  );
  return new Map(rows.map(({ subject, account }) => [subject, account]));
}

/** In order of submission; without the subjects of which something has a nonce there. */
async function movable(from: Queryable, chain: string, account: string, pool: string) {
  return from.query<{ id: string; subject: string; gas: bigint; value: string | null }>(
    `SELECT i.id, i.subject, i.gas, i.call->>'value' AS value FROM sender_intent i
     WHERE i.chain = $1 AND i.account = $2 AND i.pool = $3 AND i.state = 'queued'
       AND NOT EXISTS (SELECT 1 FROM sender_intent h
                       WHERE h.chain = $1 AND h.account = $2 AND h.pool = $3 AND h.subject = i.subject
                         AND h.state IN ('signed', 'included'))
     ORDER BY i.place FOR UPDATE OF i`,
    [chain, account, pool],
  );
}

async function move(tx: Tx, chain: string, chosen: readonly (readonly [string, string])[]): Promise<void> {
  await tx.query(
    `WITH moved AS (
       UPDATE sender_intent i SET account = c.account, waiting_code = NULL, waiting_detail = NULL
       FROM unnest($1::text[], $2::text[]) AS c (id, account) WHERE i.id = c.id AND i.state = 'queued'
       RETURNING i.account)
     SELECT pg_notify($3, jsonb_build_array($4::text, account)::text) FROM (SELECT DISTINCT account FROM moved) m`,
    [chosen.map(([id]) => id), chosen.map(([, account]) => account), senderChannel, chain],
  );
}

const loadsOf = (intents: readonly IntentRequest[], maxFee: bigint): Load[] =>
  intents.map((intent) => ({
    ...{ id: intent.id, subject: intent.subject },
    cost: costOf(intent, { maxFeePerGas: maxFee, maxPriorityFeePerGas: 0n }),
  }));
