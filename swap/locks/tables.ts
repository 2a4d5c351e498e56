import type { Migration } from "#core/db/db.ts";

/**
 * Every lock of every timelock contract that was seen, with what ended it. The same terms can be locked again after
 * their end, and a leaf may be open in two batches at once, so an id can have several rows.
 */
export const ledgerMigrations: readonly Migration[] = [
  {
    id: "swap/003-lock-ledger",
    sql: `
      create table lock_ledger (
        seq bigint generated always as identity unique,
        chain text not null,
        lock_id text not null,
        block bigint not null,
        log_index integer not null,
        block_hash text not null,
        tx text not null,
        kind text not null,
        sender text not null,
        recipient text not null,
        token text not null,
        token_id numeric,
        amount numeric not null,
        hashlock text not null,
        timelock numeric not null,
        tip numeric not null,
        batch_root text,
        leaf_index integer,
        -- the row of lock_ends that ended this lock
        end_kind text,
        end_block bigint,
        end_log_index integer,
        primary key (chain, lock_id, block, log_index)
      );
      create index lock_ledger_block on lock_ledger (chain, block);
      create index lock_ledger_end on lock_ledger (chain, end_block) where end_block is not null;
      create index lock_ledger_batch on lock_ledger (chain, batch_root, leaf_index) where batch_root is not null;
      create index lock_ledger_chain on lock_ledger (chain, seq);
      create index lock_ledger_open on lock_ledger (seq) where end_kind is null;
      create index lock_ledger_refunded on lock_ledger (seq) where end_kind = 'refunded';
      create index lock_ledger_open_sender on lock_ledger (sender) where end_kind is null;
      create index lock_ledger_open_recipient on lock_ledger (recipient) where end_kind is null;
      create table lock_ends (
        chain text not null,
        lock_id text not null,
        block bigint not null,
        log_index integer not null,
        block_hash text not null,
        tx text not null,
        kind text not null,
        -- of a claim: what its secret hashes to, and the secret
        hashlock text,
        secret text,
        primary key (chain, lock_id, block, log_index)
      );
      create index lock_ends_block on lock_ends (chain, block);
      -- Kept for ever, reorganisations or not: who has seen a hashlock or a secret once may have kept it.
      create table lock_hashlocks (hashlock text primary key, secret text);
      create table lock_heights (chain text primary key, final bigint not null);`,
  },
];
