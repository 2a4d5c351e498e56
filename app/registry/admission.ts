import type { Tx } from "#core/db/db.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { holdChains } from "./tables.ts";
import type { State } from "./words.ts";

type Admit = (tx: Tx, chains: readonly string[]) => Promise<void>;

/**
 * The word that counts when something is taken on: the database's, since another process may have removed or paused the
 * chain a moment ago. The chains cannot be removed until the transaction ends, so that whoever removes one sees it.
 */
export const admitNew: Admit = async (tx, chains) => {
  for (const [name, state] of await statesOf(tx, chains)) {
    if (state === "paused")
      throw new LockstepError("chain-paused", `the chain ${name} is paused`, { details: { name } });
  }
};

/** As `admitNew`, for what goes on while a chain is paused. */
export const admitAny: Admit = async (tx, chains) => void (await statesOf(tx, chains));

async function statesOf(tx: Tx, names: readonly string[]): Promise<ReadonlyMap<string, State>> {
  const held = await holdChains(tx, names);
  const gone = names.find((name) => (held.get(name) ?? "removed") === "removed");
  if (gone === undefined) return held;
  throw new LockstepError("chain-unknown", `there is no chain ${gone}`, { details: { chain: gone } });
}
