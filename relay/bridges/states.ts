import { z } from "zod";
import type { Migration, Queryable } from "#core/db/db.ts";
import { uint } from "#core/kernel/codec.ts";
import type { Backing } from "./backing.ts";

export const bridgeMigrations: readonly Migration[] = [
  {
    id: "relay/023-bridges",
    sql: `
      -- What the last comparison of a bridge has shown: for people, not derived from events.
      CREATE TABLE relay_bridges (
        name text PRIMARY KEY, locked numeric NOT NULL, minted numeric NOT NULL, home_block bigint NOT NULL,
        remote_block bigint NOT NULL, at timestamptz NOT NULL
      );
    `,
  },
];

export type BridgeState = Backing & { readonly name: string; readonly at: Date };

/** Replaces what was known of a bridge. */
export async function saveBridgeState(to: Queryable, { name, at, ...backing }: BridgeState): Promise<void> {
  await to.query(
    `INSERT INTO relay_bridges (name, locked, minted, home_block, remote_block, at) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (name) DO UPDATE SET locked = $2, minted = $3, home_block = $4, remote_block = $5, at = $6`,
    [name, ...[backing.locked, backing.minted, backing.homeBlock, backing.remoteBlock].map(String), at],
  );
}

const row = z.object({
  name: z.string(),
  locked: uint,
  minted: uint,
  home: z.bigint(),
  remote: z.bigint(),
  at: z.date(),
});

/** Of bridges that were compared; in the order of their names. */
export async function bridgeStates(from: Queryable, names: readonly string[]): Promise<BridgeState[]> {
  const rows = await from.query(
    `SELECT name, locked, minted, home_block AS home, remote_block AS remote, at
       FROM relay_bridges WHERE name = ANY($1) ORDER BY name`,
    [names],
  );
  return rows.map((found) => {
    const { home, remote, ...rest } = row.parse(found);
    return { ...rest, homeBlock: home, remoteBlock: remote };
  });
}

export const isBacked = ({ locked, minted }: Pick<Backing, "locked" | "minted">): boolean => minted <= locked;

/** Bridges that have minted more than they hold, in words. */
export async function bridgeConcerns(
  from: Queryable,
  bridges: readonly { readonly name: string }[],
): Promise<string[]> {
  const names = bridges.map(({ name }) => name);
  const states = names.length === 0 ? [] : await bridgeStates(from, names);
  return states.flatMap((state) =>
    isBacked(state) ? [] : [`bridge-unbacked: ${state.name} has minted ${state.minted} and holds ${state.locked}`],
  );
}
