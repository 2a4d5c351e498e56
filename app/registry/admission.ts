import { isHeldIn } from "#core/backup/hold.ts";
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

/** Takes nothing on while the service is not at one with the chains after a restore: throws `restoring`. */
export function unlessRestoring(admit: Admit): Admit {
  // A restore fills an empty database: once there is no hold, none comes while this process runs.
  let over = false;
  return async (tx, chains) => {
    if (!over) {
      if (await isHeldIn(tx))
        throw new LockstepError("restoring", "restored from a backup: nothing is taken on before it has caught up");
      over = true;
    }
    return admit(tx, chains);
  };
}

async function statesOf(tx: Tx, names: readonly string[]): Promise<ReadonlyMap<string, State>> {
  const held = await holdChains(tx, names);
  const gone = names.find((name) => (held.get(name) ?? "removed") === "removed");
  if (gone === undefined) return held;
  throw new LockstepError("chain-unknown", `there is no chain ${gone}`, { details: { chain: gone } });
}
