import type { StoredEvent } from "./store.ts";

/** Events that are kept; one takes about a kilobyte. */
const mostEvents = 20_000;

/**
 * Beginnings of streams that were committed, so that only what follows has to be read: events never change, but streams
 * leave for the archive as a whole. Those that were not asked for longest go first.
 */
export type KnownEvents = {
  /** Empty for a stream that is not known. */
  of(stream: string): readonly StoredEvent[];
  /** How often streams had left the database when what is known was read. */
  readonly archivals: bigint;
  /** What was read before the last time that streams left is not kept. */
  keep(stream: string, events: readonly StoredEvent[], archivals: bigint): void;
  /** Streams have left since: nothing is known any more. */
  outdate(archivals: bigint): void;
  /** What was known of these streams is read again, should it be the database that has forgotten. */
  forget(streams: readonly string[]): void;
};

export function createKnownEvents(most = mostEvents): KnownEvents {
  const streams = new Map<string, readonly StoredEvent[]>();
  let count = 0;
  let seen = 0n;

  function drop(stream: string): void {
    count -= streams.get(stream)?.length ?? 0;
    streams.delete(stream);
  }

  return {
    of: (stream) => streams.get(stream) ?? [],
    get archivals() {
      return seen;
    },
    outdate(archivals) {
      if (archivals <= seen) return;
      seen = archivals;
      streams.clear();
      count = 0;
    },
    keep(stream, events, archivals) {
      drop(stream);
      if (events.length === 0 || archivals < seen) return;
      streams.set(stream, events);
      count += events.length;
      for (const [oldest] of streams) {
        if (count <= most) return;
        drop(oldest);
      }
    },
    forget(names) {
      for (const name of names) drop(name);
    },
  };
}
