import type { Queryable } from "../db/db.ts";
import type { Reads } from "../db/reads.ts";
import type { AnyEvent, EventStore } from "./store.ts";

/**
 * The event store for what decides nothing: what is read from `reads.db` comes from the replica's store where the request
 * may be answered there. Each keeps in memory only what was read at its own place, so that nothing is newer than it says.
 */
export function createRoutedStore(deps: {
  reads: Pick<Reads, "db" | "either">;
  primary: { store: EventStore; db: Queryable };
  replica: { store: EventStore; db: Queryable };
}): EventStore {
  const { reads, primary, replica } = deps;
  type Read<T> = (store: EventStore, from: Queryable) => Promise<T>;
  const routed = <T>(from: Queryable, read: Read<T>): Promise<T> =>
    from === reads.db
      ? reads.either(
          () => read(replica.store, replica.db),
          () => read(primary.store, primary.db),
        )
      : read(primary.store, from);
  return {
    ...primary.store,
    load: <E extends AnyEvent>(from: Queryable, stream: string) =>
      routed(from, (store, at) => store.load<E>(at, stream)),
    loadMany: <E extends AnyEvent>(from: Queryable, streams: readonly string[]) =>
      routed(from, (store, at) => store.loadMany<E>(at, streams)),
    loadAt: <E extends AnyEvent>(from: Queryable, positions: readonly bigint[]) =>
      routed(from, (store, at) => store.loadAt<E>(at, positions)),
    loadFirst: (from, streams) => routed(from, (store, at) => store.loadFirst(at, streams)),
  };
}
