import type { Queryable } from "../db/db.ts";
import type { Hex } from "../kernel/codec.ts";
import { loadState } from "./tables.ts";

/** The first block that a chain began with when it was first seen; undefined for one that never was. */
export async function rememberedGenesis(from: Queryable, chain: string): Promise<Hex | undefined> {
  return (await loadState(from, chain))?.genesis;
}
