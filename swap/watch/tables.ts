import type { Migration } from "#core/db/db.ts";

/** Watches by what concerns them, and when each is to be looked at. */
export const watchMigrations: readonly Migration[] = [
  {
    id: "swap/004-lock-watches",
    sql: `
      create table lock_watches (
        id text primary key,
        chain text not null,
        lock_id text not null,
        hashlock text not null,
        version integer not null,
        -- counts what chains showed of the lock or its hashlock
        touches integer not null default 0,
        -- of a managed account that the lock concerns; a stranger's counts towards the most that are watched at once
        account text,
        refunds boolean not null,
        -- null once it has ended
        due_at timestamptz
      );
      create index lock_watches_due on lock_watches (due_at) where due_at is not null;
      create index lock_watches_lock on lock_watches (chain, lock_id);
      create index lock_watches_hashlock on lock_watches (hashlock) where due_at is not null;`,
  },
];
