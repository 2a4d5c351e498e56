import type { Tx } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { LedgerNews } from "../locks/ledger.ts";
import { type WatchEvent, watchStream } from "./events.ts";
import { endlessWatches, touchChain, touchWatches } from "./readModel.ts";
import { foldWatch } from "./watch.ts";

/** Has watches looked at when the ledger learns something that concerns them, and reopens those that ended too early. */
export function createLedgerNews({ store, clock }: { store: EventStore; clock: Clock }): LedgerNews {
  async function reopen(tx: Tx, chain: string, ancestor: bigint): Promise<void> {
    const ids = await endlessWatches(tx, chain);
    if (ids.length === 0) return;
    const streams = await store.loadMany<WatchEvent>(tx, ids.map(watchStream));
    const appends = [...streams].flatMap(([stream, events]) => {
      const watch = foldWatch(events);
      if (watch?.outcome !== "claimed" && watch?.outcome !== "refunded") return [];
      const reopened: WatchEvent = { type: "WatchReopened", data: { ancestor } };
      return [{ stream, expected: watch.version, events: [reopened] }];
    });
    if (appends.length > 0) await store.append(tx, appends);
  }

  return {
    async recorded(tx, chain, { locks, ends }) {
      const lockIds = [...new Set([...locks, ...ends].map(({ id }) => id))];
      const hashlocks = [...new Set(ends.flatMap(({ hashlock }) => hashlock ?? []))];
      await touchWatches(tx, chain, { lockIds, hashlocks }, new Date(clock.now()));
    },
    async undone(tx, chain, ancestor, deep) {
      await touchChain(tx, chain, new Date(clock.now()));
      if (deep) await reopen(tx, chain, ancestor);
    },
  };
}
