import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Db, Migration, Queryable } from "#core/db/db.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { covers, type Exposure, haltedAssetSchema, type Scope } from "./scope.ts";

/** Rows are never deleted: when a halt was lifted is kept, and its id names it for ever. */
export const haltMigrations: readonly Migration[] = [
  {
    id: "swap-halts/001-create",
    sql: `
      create table swap_halts (
        id text primary key,
        -- one spelling of what is halted
        scope text not null,
        account text,
        chain text,
        asset jsonb,
        reason text not null,
        since timestamptz not null,
        lifted_at timestamptz
      );
      create unique index swap_halts_standing on swap_halts (scope) where lifted_at is null;
    `,
  },
];

/** What operators have said must not be locked any more. */
export type Halt = Scope & {
  readonly id: string;
  readonly reason: string;
  readonly since: Date;
  readonly liftedAt?: Date;
};

/** The kill switch. Every process reads it anew when it decides, so that a halt counts everywhere once it is written. */
export type Halts = {
  /** Those that stand, the oldest first. */
  standing(): Promise<readonly Halt[]>;
  /** Of one scope one stands at a time: a second one changes its reason. */
  put(scope: Scope, reason: string): Promise<Halt>;
  /** Lifted ones stay as they were; undefined for an unknown id. */
  lift(id: string): Promise<Halt | undefined>;
};

type Row = {
  id: string;
  account: string | null;
  chain: string | null;
  asset: unknown;
  reason: string;
  since: Date;
  lifted_at: Date | null;
};
const columns = "id, account, chain, asset, reason, since, lifted_at";

export function createHalts({ db, clock }: { db: Db; clock: Clock }): Halts {
  return {
    standing: () => readHalts(db),
    async put(scope, reason) {
      const asset = scope.asset && JSON.stringify(z.encode(haltedAssetSchema, scope.asset));
      const rows = await db.query<Row>(
        `insert into swap_halts (id, scope, account, chain, asset, reason, since)
         values ($1, $2, $3, $4, $5::jsonb, $6, $7)
         on conflict (scope) where lifted_at is null do update set reason = excluded.reason
         returning ${columns}`,
        [
          ...[randomUUID(), keyOf(scope), scope.account ?? null, scope.chain ?? null, asset ?? null, reason],
          new Date(clock.now()),
        ],
      );
      return one(rows);
    },
    async lift(id) {
      const rows = await db.query<Row>(
        `update swap_halts set lifted_at = coalesce(lifted_at, $2) where id = $1 returning ${columns}`,
        [id, new Date(clock.now())],
      );
      return rows[0] && haltOf(rows[0]);
    },
  };
}

/** The halts that stand, the oldest first. */
export async function readHalts(from: Queryable): Promise<readonly Halt[]> {
  const rows = await from.query<Row>(`select ${columns} from swap_halts where lifted_at is null order by since, id`);
  return rows.map(haltOf);
}

/** The first halt that keeps anything from being locked for what has this exposure. */
export const haltOn = (halts: readonly Halt[], exposure: Exposure): Halt | undefined =>
  halts.find((halt) => covers(halt, exposure));

function one(rows: readonly Row[]): Halt {
  const [row] = rows;
  if (!row) throw new Error("a halt was written and is not there");
  return haltOf(row);
}

function haltOf({ id, account, chain, asset, reason, since, lifted_at: liftedAt }: Row): Halt {
  return {
    ...{ id, reason, since },
    ...(account !== null && { account }),
    ...(chain !== null && { chain }),
    ...(asset !== null && { asset: z.decode(haltedAssetSchema, asset as never) }),
    ...(liftedAt !== null && { liftedAt }),
  };
}

function keyOf({ account, chain, asset }: Scope): string {
  const contract = asset && (asset.type === "native" ? "native" : asset.address);
  const token = asset && "tokenId" in asset && asset.tokenId !== undefined ? asset.tokenId.toString() : null;
  return JSON.stringify([account ?? null, chain ?? null, contract ?? null, token]);
}
