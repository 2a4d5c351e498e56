import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { cutPage } from "#core/http/page.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { SwapChains } from "../chains.ts";
import { type LockFilter, listLocks, locksById, publishedSecret, swapOfLock } from "../locks/queries.ts";
import type { LedgerLock } from "../locks/rows.ts";
import { type WatchEvent, watchIdOf, watchStream } from "./events.ts";
import type { LockView } from "./schemas.ts";
import { sightOf, timesOf } from "./sight.ts";
import { lockViewOf } from "./view.ts";

export type LockReader = {
  /** The newest lock under an id that is open, or else the newest; undefined when none was seen. */
  find(chain: string, lockId: Hex): Promise<LockView | undefined>;
  /** A page, newest first, with the cursor of the next one. */
  list(filter: LockFilter, before: bigint | undefined, limit: number): Promise<{ locks: LockView[]; next?: bigint }>;
};

export function createLockReader(deps: {
  db: Db;
  store: EventStore;
  chains: SwapChains;
  /** The watchtower has an account that pays. */
  on: boolean;
}): LockReader {
  const { db, store, chains, on } = deps;

  async function view(lock: LedgerLock, siblings: readonly LedgerLock[]): Promise<LockView> {
    const { chain, id } = lock;
    const { hashlock } = lock.lock.terms;
    const [secret, swap, events] = await Promise.all([
      publishedSecret(db, hashlock),
      swapOfLock(db, chain, id),
      store.load<WatchEvent>(db, watchStream(watchIdOf(chain, id))),
    ]);
    const sight = { lock: sightOf(siblings), secretPublic: secret !== undefined };
    const times = timesOf({ chain, terms: lock.lock.terms }, chains);
    return lockViewOf(lock, { secret, swap, events, sight, times, now: chains.clockTime(), on });
  }

  return {
    async find(chain, lockId) {
      const locks = await locksById(db, chain, lockId);
      const shown = locks.find(({ end }) => !end) ?? locks[0];
      return shown && view(shown, locks);
    },
    async list(filter, before, limit) {
      const { page, last } = cutPage(await listLocks(db, filter, before, limit + 1), limit);
      const locks = await Promise.all(page.map(async (each) => view(each, await locksById(db, each.chain, each.id))));
      return { locks, ...(last && { next: last.seq }) };
    },
  };
}
