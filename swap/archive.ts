import type { ArchiveItem, ArchiveKind, OldStream } from "#core/archive/kinds.ts";
import type { Queryable } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { type BatchEvent, batchStream, type SwapEvent, swapStream } from "./events.ts";
import { hasEnded } from "./status.ts";
import { foldSwap } from "./swap.ts";

/** Kind of swaps in the archive; for ever. */
const kind = "swap";
const idOf = (stream: string) => stream.slice(swapStream("").length);

type Deps = { store: EventStore; keptMs: number };

/**
 * Swaps of which every leg that was ever locked has ended in a final block, and for which nothing is under way. Their
 * hashlocks stay known, and their secrets stay where they are.
 */
export function archiveSwaps({ store, keptMs }: Deps): ArchiveKind {
  return {
    ...{ kind, prefix: swapStream(""), keptMs },
    async collect(from, streams) {
      const still = await endedSwaps(from, streams);
      const histories = await store.loadMany<SwapEvent>(
        from,
        still.map(({ id }) => swapStream(id)),
      );
      return still.flatMap(({ id, version, hashlock, locks }): ArchiveItem[] => {
        const stream = swapStream(id);
        const events = histories.get(stream);
        const swap = events && foldSwap(events);
        if (!events || !swap || !hasEnded(swap)) return [];
        const keys = [...locks.map((key) => ({ key, rank: 2 })), { key: hashlock, rank: 3 }];
        return [{ stream, version, events, keys }];
      });
    },
    async remove(tx, items) {
      const removed = await tx.query<{ id: string; hashlock: string }>(
        `delete from swaps using unnest($1::text[], $2::integer[]) as given (id, version)
          where swaps.id = given.id and swaps.version = given.version and swaps.due_at is null
         returning swaps.id, swaps.hashlock`,
        [items.map(({ stream }) => idOf(stream)), items.map(({ version }) => version)],
      );
      const ids = removed.map(({ id }) => id);
      await tx.query("delete from swap_legs where swap_id = any($1)", [ids]);
      await tx.query("insert into lock_hashlocks (hashlock) select unnest($1::text[]) on conflict do nothing", [
        removed.map(({ hashlock }) => hashlock),
      ]);
      return ids.map(swapStream);
    },
  };
}

type Ended = { id: string; version: number; hashlock: string; locks: string[] };

/** As far as the read model knows, and without a transaction on its way. */
async function endedSwaps(from: Queryable, streams: readonly OldStream[]): Promise<Ended[]> {
  return from.query<Ended>(
    `select s.id, s.version, s.hashlock, array(select lock_id from swap_legs l where l.swap_id = s.id) as locks
       from swaps s
      where s.id = any($1) and s.due_at is null
        and not exists (
          select 1 from sender_intent i where i.subject = $2 || s.id and i.state in ('queued', 'signed', 'included'))`,
    [streams.map(({ stream }) => idOf(stream)), swapStream("")],
  );
}

/** What was done for several swaps at once, when all of these have left. */
export function archiveBatches({ store, keptMs }: Deps): ArchiveKind {
  return {
    ...{ kind: "swapbatch", prefix: batchStream(""), keptMs },
    async collect(from, streams) {
      const histories = await store.loadMany<BatchEvent>(
        from,
        streams.map(({ stream }) => stream),
      );
      const members = [...histories.values()].flatMap((events) => events.flatMap(({ data }) => data.swaps));
      const rows = await from.query<{ id: string }>("select id from swaps where id = any($1)", [[...new Set(members)]]);
      const here = new Set(rows.map(({ id }) => id));
      return streams.flatMap(({ stream, version }): ArchiveItem[] => {
        const events = histories.get(stream);
        if (!events || events.some(({ data }) => data.swaps.some((id) => here.has(id)))) return [];
        return [{ stream, version, events, keys: [] }];
      });
    },
    remove: async (_tx, items) => items.map(({ stream }) => stream),
  };
}
