import type { Db } from "#core/db/db.ts";
import type { Indexer } from "#core/indexer/createIndexer.ts";
import type { Lease } from "#core/lease/lease.ts";

/** An indexer that is at work while this process has the chain's lease: started, it waits for its turn. */
export function leasedIndexer(lease: Lease, create: (db: Db) => Indexer): Indexer {
  const indexer = create(lease.db);
  return {
    ...indexer,
    start: () => lease.contend(indexer),
    stop: lease.leave,
    // Who has it then reads again; one that gets it later would read all from the start before it goes on.
    readAgain: () => (lease.isHeld() ? indexer.readAgain() : undefined),
  };
}
