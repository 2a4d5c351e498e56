import { z } from "zod";
import type { Migration } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import type { PostgresDb } from "#core/db/postgres.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import type { EventStore, Projection } from "#core/events/store.ts";
import { uint } from "#core/kernel/codec.ts";
import { quietLog } from "./databases.ts";

/** A small world of events for tests: accounts with a balance, and a read model of it. */
export const itemEvents = {
  Deposited: z.object({ amount: uint }),
  Renamed: z.object({ name: z.string() }),
};

export const itemMigration: Migration = {
  id: "items/001-create",
  sql: "CREATE TABLE balances (stream text PRIMARY KEY, amount numeric NOT NULL, last_position bigint NOT NULL)",
};

/** Throws for a deposit of 13. */
export const balances: Projection = {
  name: "balances",
  handles: ["Deposited"],
  tables: ["balances"],
  async apply(tx, events) {
    for (const { stream, data, position } of events) {
      const { amount } = itemEvents.Deposited.decode(itemEvents.Deposited.encode(data as { amount: bigint }));
      if (amount === 13n) throw new Error("unlucky");
      await tx.query(
        `INSERT INTO balances AS b VALUES ($1, $2, $3)
         ON CONFLICT (stream) DO UPDATE SET amount = b.amount + $2, last_position = $3`,
        [stream, amount, position],
      );
    }
  },
};

export async function itemStore(
  db: PostgresDb,
  options: Pick<Parameters<typeof createEventStore>[0], "archived"> = {},
): Promise<EventStore> {
  await migrate(db, [...eventMigrations, itemMigration]);
  return createEventStore({ db, schemas: itemEvents, projections: [balances], log: quietLog, ...options });
}

export const deposit = (amount: bigint) => ({ type: "Deposited", data: { amount } }) as const;
