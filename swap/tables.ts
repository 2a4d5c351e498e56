import type { Migration } from "#core/db/db.ts";

/** Swaps and their legs, as `swapProjection` keeps them. */
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
  {
    id: "swap/004-who-closes-legs",
    sql: `
      alter table swap_legs
        -- managed accounts that send the leg's claim, and its lock and refund; null where only an external party does
        add column claimer text,
        add column refunder text,
        add column lock_started boolean not null default false;
      update swap_legs l
         set claimer = coalesce(e.data #>> array[case l.leg when 'source' then 'counterparty' else 'initiator' end, 'account'],
                                e.data ->> 'payer'),
             refunder = coalesce(e.data #>> array[case l.leg when 'source' then 'initiator' else 'counterparty' end, 'account'],
                                 e.data ->> 'payer'),
             lock_started = exists (select 1 from events s where s.stream = e.stream and s.type = 'StepStarted'
                                       and s.data ->> 'step' = 'lock-' || l.leg)
        from events e where e.stream = 'swap-' || l.swap_id and e.version = 1;
      create index swap_legs_claimer on swap_legs (chain, claimer) where end_block is null and (pending or lock_block is not null);
      create index swap_legs_refunder on swap_legs (chain, refunder) where end_block is null and (pending or lock_block is not null);
    `,
  },
  {
    id: "swap/005-listing",
    sql: `
      alter table swaps
        add column requested_at timestamptz,
        add column given_up boolean not null default false,
        add column revealing boolean not null default false;
      alter table swap_legs
        add column recipient text,
        -- Unix seconds
        add column timelock bigint;
      update swaps set requested_at = e.at from events e where e.stream = 'swap-' || swaps.id and e.version = 1;
      update swaps set given_up = true
       where exists (select 1 from events e where e.stream = 'swap-' || swaps.id and e.type = 'SwapGivenUp');
      update swaps set revealing = coalesce((
        select e.type = 'RevealStarted' from events e
         where e.stream = 'swap-' || swaps.id and e.type in ('RevealStarted', 'RevealWithdrawn')
         order by e.version desc limit 1), false);
      update swap_legs l
         set recipient = e.data #>> array[l.leg, 'recipient'], timelock = (e.data #>> array[l.leg, 'timelock'])::bigint
        from events e where e.stream = 'swap-' || l.swap_id and e.version = 1;
      create index swaps_requested_at on swaps (requested_at);
      create index swap_legs_of_sender on swap_legs (sender, swap_id);
      create index swap_legs_of_recipient on swap_legs (recipient, swap_id);
      create index swap_legs_claimed_by on swap_legs (claimer, swap_id) where claimer is not null;
      create index swap_legs_refunded_by on swap_legs (refunder, swap_id) where refunder is not null;
    `,
  },
  {
    id: "swap/006-what-legs-take",
    sql: `
      -- the swap of the leg is not looked at any more: what open legs promise is summed up without their swaps
      alter table swap_legs
        add column ended boolean not null default false,
        -- coin that goes with the lock, in wei
        add column tip numeric not null default 0;
      update swap_legs l set ended = true from swaps s where s.id = l.swap_id and s.due_at is null;
      update swap_legs l set tip = coalesce((e.data #>> array[l.leg, 'tip'])::numeric, 0)
        from events e where e.stream = 'swap-' || l.swap_id and e.version = 1;
      drop index swap_legs_pending, swap_legs_claimer, swap_legs_refunder;
      create index swap_legs_pending on swap_legs (chain, sender, asset) where pending and not ended;
      create index swap_legs_claimer on swap_legs (chain, claimer)
        where end_block is null and (pending or lock_block is not null) and not ended;
      create index swap_legs_refunder on swap_legs (chain, refunder)
        where end_block is null and (pending or lock_block is not null) and not ended;
    `,
  },
];
