import type { Chain } from "../chain/chain.ts";
import type { Queryable } from "../db/db.ts";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import { loadState } from "./tables.ts";

/** Throws `chain-replaced` when the chain does not begin with the block that it began with when it was first seen. */
export async function assertGenesis(chain: Pick<Chain, "name" | "genesis">, known: Hex): Promise<void> {
  const found = await chain.genesis();
  if (found === known) return;
  throw new LockstepError(
    "chain-replaced",
    `${chain.name} is another chain than before: it begins with block ${found}, and what is stored belongs to one that begins with ${known}. Nothing stored is acted on. To start over, empty the database: docs/operations.md, "Reset"; for a local network, npm start -- --reset.`,
    { details: { chain: chain.name, known, found } },
  );
}

/** The first block that a chain began with when it was first seen; undefined for one that never was. */
export async function rememberedGenesis(from: Queryable, chain: string): Promise<Hex | undefined> {
  return (await loadState(from, chain))?.genesis;
}
