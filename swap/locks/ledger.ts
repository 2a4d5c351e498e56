import type { Tx } from "#core/db/db.ts";
import type { ChainObserver } from "#core/indexer/observer.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";
import type { SwapChain, SwapChains } from "../chains.ts";
import { anyLockSelectors } from "../protocol/lockLogs.ts";
import { type EndFact, type LockFact, type LockFacts, lockFactsOf } from "./facts.ts";

/** Who wants to know what the ledger learns, in the transaction in which it does. */
export type LedgerNews = {
  recorded(tx: Tx, chain: string, facts: LockFacts): Promise<void>;
  /** Everything above `ancestor` was taken back; `deep`: final blocks too. */
  undone(tx: Tx, chain: string, ancestor: bigint, deep: boolean): Promise<void>;
};

/**
 * Records every lock of the timelock contracts and every end of one, whoever they belong to. What does not fit (an id that
 * is not the hash of its terms, a secret that is not the preimage of its lock's hashlock) was made up by an endpoint:
 * nothing of such an answer is taken, `chain-answer-invalid`.
 */
export function createLockLedger({ chains, news }: { chains: SwapChains; news?: LedgerNews }): ChainObserver {
  function requireChain(name: string): SwapChain {
    const found = chains.find(name);
    if (found) return found;
    throw new LockstepError("conflict", `the chain ${name} was removed`, { details: { chain: name } });
  }

  return {
    addresses: (chain) => [requireChain(chain).timelockContract],
    secondLook: [...anyLockSelectors],
    async included(tx, name, blocks) {
      const { chain, timelockContract } = requireChain(name);
      const facts = lockFactsOf(blocks, { chainId: chain.chainId, contract: timelockContract });
      if (facts.locks.length + facts.ends.length === 0) return;
      await record(tx, name, facts);
      await match(tx, name, [...facts.locks, ...facts.ends]);
      await news?.recorded(tx, name, facts);
    },
    async reorged(tx, chain, ancestor, deep) {
      await tx.query(undoSql, [chain, ancestor]);
      await news?.undone(tx, chain, ancestor, deep);
    },
    async finalized(tx, chain, height) {
      await tx.query(
        `insert into lock_heights (chain, final) values ($1, $2)
         on conflict (chain) do update set final = greatest(lock_heights.final, excluded.final)`,
        [chain, height],
      );
    },
  };
}

/** Facts that were recorded already stay as they are. */
async function record(tx: Tx, chain: string, { locks, ends }: LockFacts): Promise<void> {
  await tx.query(recordSql, [chain, toJson(locks.map(lockRow)), toJson(ends.map(endRow))]);
}

/** An end belongs to the newest lock of its id that is open when it comes. A lock that was not shown has none. */
async function match(
  tx: Tx,
  chain: string,
  facts: readonly { readonly id: Hex; readonly block: bigint }[],
): Promise<void> {
  const ids = [...new Set(facts.map(({ id }) => id))];
  const first = facts.reduce((least, { block }) => (block < least ? block : least), facts[0]?.block ?? 0n);
  const matched = await tx.query<{ lock_id: Hex; fits: boolean; tx: Hex }>(matchSql, [chain, ids, first]);
  const lie = matched.find(({ fits }) => !fits);
  if (!lie) return;
  throw new LockstepError("chain-answer-invalid", "a claim was shown with a secret that does not fit its hashlock", {
    details: { lock: lie.lock_id, transaction: lie.tx },
  });
}

const lockRow = ({ id, block, logIndex, blockHash, tx, lock }: LockFact) => ({
  ...{ lock_id: id, block, log_index: logIndex, block_hash: blockHash, tx, kind: lock.kind },
  ...{ sender: lock.terms.sender, recipient: lock.terms.recipient, token: lock.terms.token, amount: lock.terms.amount },
  ...{ hashlock: lock.terms.hashlock, timelock: lock.terms.timelock, tip: lock.terms.tip },
  token_id: lock.kind === "item" ? lock.terms.tokenId : null,
  batch_root: lock.kind === "leaf" ? lock.root : null,
  leaf_index: lock.kind === "leaf" ? lock.index : null,
});

const endRow = ({ id, block, logIndex, blockHash, tx, kind, hashlock, secret }: EndFact) => ({
  ...{ lock_id: id, block, log_index: logIndex, block_hash: blockHash, tx, kind },
  ...{ hashlock: hashlock ?? null, secret: secret ?? null },
});

const lockColumns = `lock_id, block, log_index, block_hash, tx, kind, sender, recipient, token, token_id, amount, hashlock,
  timelock, tip, batch_root, leaf_index`;
const endColumns = "lock_id, block, log_index, block_hash, tx, kind, hashlock, secret";

/** Hashlocks go in their order, so that the indexers of two chains cannot wait for each other. */
const recordSql = `
  with given_locks as (
    select * from jsonb_to_recordset($2::jsonb) as g (lock_id text, block bigint, log_index integer, block_hash text,
      tx text, kind text, sender text, recipient text, token text, token_id numeric, amount numeric, hashlock text,
      timelock numeric, tip numeric, batch_root text, leaf_index integer)
  ), given_ends as (
    select * from jsonb_to_recordset($3::jsonb) as g (lock_id text, block bigint, log_index integer, block_hash text,
      tx text, kind text, hashlock text, secret text)
  ), new_locks as (
    insert into lock_ledger (chain, ${lockColumns}) select $1, ${lockColumns} from given_locks on conflict do nothing
  ), new_ends as (
    insert into lock_ends (chain, ${endColumns}) select $1, ${endColumns} from given_ends on conflict do nothing
  )
  insert into lock_hashlocks (hashlock, secret)
    select hashlock, max(secret) from (
      select hashlock, null::text as secret from given_locks
      union all select hashlock, secret from given_ends where hashlock is not null
    ) as shown group by hashlock order by hashlock
  on conflict (hashlock) do update set secret = excluded.secret
    where lock_hashlocks.secret is null and excluded.secret is not null`;

/**
 * Counted from a lock on, another lock of the id is one more and an end one less: where the count first falls below zero
 * is what ended it; what ended before anything that is new stays ended. Right also where a leaf is open in two batches,
 * and where logs were hidden at first.
 */
const matchSql = `
  with touched as materialized (
    select distinct lock_id from lock_ends where chain = $1 and lock_id = any($2)
  )
  update lock_ledger as l
     set end_kind = found.kind, end_block = found.block, end_log_index = found.log_index
    from (
      select o.lock_id as opened_id, o.block as opened_block, o.log_index as opened_index, e.*
        from touched join lock_ledger o on o.chain = $1 and o.lock_id = touched.lock_id
         and (o.end_block is null or o.end_block >= $3) left join lateral (
          select kind, block, log_index, hashlock, tx from (
            select f.*, sum(step) over (order by block, log_index) as balance from (
              select 1 as step, null::text as kind, block, log_index, null::text as hashlock, null::text as tx
                from lock_ledger x
               where x.chain = o.chain and x.lock_id = o.lock_id and (x.block, x.log_index) > (o.block, o.log_index)
              union all
              select -1, kind, block, log_index, hashlock, tx from lock_ends x
               where x.chain = o.chain and x.lock_id = o.lock_id and (x.block, x.log_index) > (o.block, o.log_index)
            ) as f
          ) as counted where balance = -1 order by block, log_index limit 1
        ) as e on true
    ) as found
   where l.chain = $1 and l.lock_id = found.opened_id and l.block = found.opened_block
     and l.log_index = found.opened_index
     and (l.end_block, l.end_log_index) is distinct from (found.block, found.log_index)
  returning l.lock_id, found.tx, (found.hashlock is null or found.hashlock = l.hashlock) as fits`;

/** Hashlocks and secrets stay. */
const undoSql = `
  with locks as (delete from lock_ledger where chain = $1 and block > $2),
    ends as (delete from lock_ends where chain = $1 and block > $2),
    height as (update lock_heights set final = $2 where chain = $1 and final > $2)
  update lock_ledger set end_kind = null, end_block = null, end_log_index = null
   where chain = $1 and block <= $2 and end_block > $2`;
