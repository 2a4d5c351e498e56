import type { Queryable } from "../db/db.ts";
import type { EventCodec } from "../events/codec.ts";
import type { StoredEvent } from "../events/store.ts";
import { lineOf } from "./format.ts";
import { eventsOfLine } from "./line.ts";
import type { ArchiveStorage } from "./storage.ts";
import { entriesOf, type IndexEntry } from "./tables.ts";

/** Parts of files that are kept, so that a page of neighbours is one read; one takes some ten kilobytes. */
const mostParts = 64;

/** What has left the database. Each throws `archive-unreachable` or `archive-damaged`. */
export type ArchiveReader = {
  /** The histories of those of the streams that are archived. */
  histories(streams: readonly string[]): Promise<Map<string, StoredEvent[]>>;
  /** The line of an item as it was written, undefined where the stream is not archived. */
  line(stream: string): Promise<string | undefined>;
};

export function createArchiveReader(deps: {
  db: Queryable;
  storage: ArchiveStorage;
  codec: EventCodec;
}): ArchiveReader {
  const { db, storage, codec } = deps;
  const parts = new Map<string, Promise<Buffer>>();

  function partOf({ name, partStart, partLength }: IndexEntry): Promise<Buffer> {
    const key = `${name} ${partStart}`;
    const known = parts.get(key);
    if (known) return known;
    const part = storage.read(name, { start: partStart, length: partLength });
    parts.set(key, part);
    part.catch(() => parts.delete(key));
    const [oldest] = parts.keys();
    if (parts.size > mostParts && oldest !== undefined) parts.delete(oldest);
    return part;
  }

  /** What was kept in memory may be what a store that was mended since had sent: read anew before anything is said. */
  async function textOf(entry: IndexEntry): Promise<string> {
    try {
      return await lineOf(await partOf(entry), entry);
    } catch {
      parts.delete(`${entry.name} ${entry.partStart}`);
      return lineOf(await partOf(entry), entry);
    }
  }

  return {
    async histories(streams) {
      const entries = await entriesOf(db, streams);
      const found = await Promise.all(
        entries.map(async (entry) => [entry.stream, eventsOfLine(await textOf(entry), entry.stream, codec)] as const),
      );
      return new Map(found);
    },
    async line(stream) {
      const [entry] = await entriesOf(db, [stream]);
      return entry && textOf(entry);
    },
  };
}
