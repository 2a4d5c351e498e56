import type { KeyStore } from "#core/chain/keys.ts";
import type { Db } from "#core/db/db.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { SwapChains } from "../chains.ts";
import { openLocksOf } from "../locks/queries.ts";
import type { LockReader } from "./reader.ts";
import { recoveredLocks } from "./readModel.ts";
import type { Concern, WatchRequester } from "./request.ts";
import type { LockView } from "./schemas.ts";
import { timesOf } from "./sight.ts";

/** A lock of a managed account that no swap here drives. */
export type ConcernedLock = Concern & {
  readonly chain: string;
  readonly lockId: Hex;
  /** It is driven already. */
  readonly watched: boolean;
};

/** Finds what managed accounts have in locks, from the chains alone, and has it driven to its end. */
export type Recovery = {
  /**
   * Open locks of managed accounts without a swap here, and those that are driven and have not ended for good. Not among
   * them are a stranger's that can only be refunded any more.
   */
  locks(): Promise<ConcernedLock[]>;
  /** Drives one from now on. Does nothing when it is driven already. Throws as `WatchRequester.recover`. */
  take(lock: ConcernedLock): Promise<void>;
  /** How a lock is now; undefined when a reorganisation removed it. */
  view(chain: string, lockId: Hex): Promise<LockView | undefined>;
};

export function createRecovery(deps: {
  db: Db;
  keyStore: Pick<KeyStore, "names" | "address">;
  chains: SwapChains;
  reader: LockReader;
  requester: Pick<WatchRequester, "recover">;
}): Recovery {
  const { db, keyStore, chains, reader, requester } = deps;
  const names = new Map(keyStore.names().map((name) => [keyStore.address(name), name]));

  return {
    async locks() {
      const driven = await recoveredLocks(db);
      const isDriven = new Set(driven.map(({ chain, lockId }) => `${chain} ${lockId}`));
      const open = await openLocksOf(db, [...names.keys()]);
      const found = open.flatMap(({ chain, id, lock: { terms } }): ConcernedLock[] => {
        const concern = concernOf(names, terms.sender, terms.recipient);
        if (!concern || isDriven.has(`${chain} ${id}`)) return [];
        const missed = !concern.refunds && chains.clockTime() >= timesOf({ chain, terms }, chains).claimUntil;
        return missed ? [] : [{ chain, lockId: id, watched: false, ...concern }];
      });
      return [...driven.map((each) => ({ ...each, watched: true })), ...found];
    },
    take: ({ chain, lockId, account, refunds }) => requester.recover(chain, lockId, { account, refunds }),
    view: reader.find,
  };
}

/** The sender wants its refund, the recipient only the claim. */
function concernOf(names: ReadonlyMap<Hex, string>, sender: Hex, recipient: Hex): Concern | undefined {
  const [locker, claimer] = [names.get(sender), names.get(recipient)];
  if (locker !== undefined) return { account: locker, refunds: true };
  return claimer === undefined ? undefined : { account: claimer, refunds: false };
}
