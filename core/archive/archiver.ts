import { randomUUID } from "node:crypto";
import type { Db, Queryable, Tx } from "../db/db.ts";
import type { EventCodec } from "../events/codec.ts";
import type { Clock } from "../kernel/clock.ts";
import { LockstepError } from "../kernel/errors.ts";
import { toJson } from "../kernel/json.ts";
import type { Mark } from "../kernel/mark.ts";
import type { Log } from "../observe/log.ts";
import { checkPacked, type Packed, pack } from "./format.ts";
import type { ArchiveItem, ArchiveKind } from "./kinds.ts";
import { lineOfItem } from "./line.ts";
import { oldStreams, positionAt, type ScannedStream } from "./scan.ts";
import type { ArchiveStorage } from "./storage.ts";
import { assertSameStore, beginFile, endFile, forgetFile, indexItems, takeUnfinished } from "./tables.ts";

/** Items of one file, which leave in one transaction. */
const mostItems = 1_000;
/** Characters of one file before it is compressed; one item more may be longer. */
const mostCharacters = 16 * 1024 * 1024;

export type ArchiveReport = {
  /** Items that have left, by kind. */
  readonly items: Readonly<Record<string, number>>;
  readonly files: number;
  readonly bytes: number;
};

export type Archiver = {
  /**
   * Moves everything that has ended and is old enough, and takes back what an earlier run left half done. Throws
   * `archive-unreachable`, `archive-damaged`, `lease-lost`, or `conflict` where something happened to what was to leave;
   * what was moved by then stays moved.
   */
  run(signal?: AbortSignal): Promise<ArchiveReport>;
};

type Deps = {
  db: Db;
  storage: ArchiveStorage;
  codec: EventCodec;
  kinds: readonly ArchiveKind[];
  /** Every reader of all events has read up to here. */
  readUpTo(from: Queryable): Promise<bigint>;
  clock: Clock;
  log: Log;
  mark: Mark;
};

/** Items that are going to one file. */
type Batch = { readonly kind: ArchiveKind; readonly items: ArchiveItem[]; readonly lines: string[]; length: number };

/**
 * Moves what has ended from the database to files. A file is written, read back and checked before one transaction
 * deletes what is in it and says where it is; until then it counts for nothing. A run that was killed leaves no more than a
 * file that the next one removes; one that was paused and goes on after that, a file that nothing names.
 */
export function createArchiver(deps: Deps): Archiver {
  const { db, storage, kinds, clock, log, mark } = deps;

  async function removeUnfinished(): Promise<void> {
    for (const { id, name } of await takeUnfinished(db)) {
      await storage.remove(manifestOf(name));
      await storage.remove(name);
      await forgetFile(db, id);
      log.info({ file: name }, "an archived file that was not finished is removed");
    }
  }

  async function write(batch: Batch): Promise<{ items: number; bytes: number }> {
    const packed = await pack(batch.lines);
    const firstPlace = batch.items.reduce(
      (least, { events }) => lesser(least, events[0]?.position ?? least),
      2n ** 62n,
    );
    const now = new Date(clock.now());
    const month = now.toISOString().slice(0, 7).replace("-", "/");
    const name = `${batch.kind.kind}/${month}/${firstPlace}-${randomUUID().slice(0, 8)}.ndjson.gz`;
    const id = await beginFile(db, name, batch.kind.kind, now);
    mark("archive.begun");
    await storage.put(name, packed.bytes);
    mark("archive.written");
    const manifest = Buffer.from(toJson(manifestFor(batch, name, packed, now)));
    await storage.put(manifestOf(name), manifest);
    await checkPacked(await storage.read(name), packed);
    if (!manifest.equals(await storage.read(manifestOf(name)))) {
      throw new LockstepError("archive-damaged", "what was read back of a manifest is not what was written");
    }
    mark("archive.checked");
    const left = await db.tx((tx) => leave(tx, id, batch, packed));
    mark("archive.left");
    log.info({ file: name, items: left, bytes: packed.bytes.length }, "archived");
    return { items: left, bytes: packed.bytes.length };
  }

  return {
    async run(signal) {
      await assertSameStore(db, storage);
      await removeUnfinished();
      const now = clock.now();
      const readUpTo = await deps.readUpTo(db);
      const items: Record<string, number> = {};
      let [files, bytes] = [0, 0];
      for (const kind of kinds) {
        const upTo = lesser(readUpTo, await positionAt(db, new Date(now - kind.keptMs)));
        for await (const batch of batchesOf(deps, kind, { upTo, before: now - kind.keptMs })) {
          signal?.throwIfAborted();
          const left = await write(batch);
          items[kind.kind] = (items[kind.kind] ?? 0) + left.items;
          files += 1;
          bytes += left.bytes;
        }
        const { tidy } = kind;
        if (!tidy) continue;
        while ((await db.tx((tx) => tidy(tx, upTo))) > 0) signal?.throwIfAborted();
      }
      return { items, files, bytes };
    },
  };
}

/** What of a kind has ended and is old enough, in parts that fit a file. */
async function* batchesOf(
  { db, codec }: Pick<Deps, "db" | "codec">,
  kind: ArchiveKind,
  { upTo, before }: { readonly upTo: bigint; readonly before: number },
): AsyncGenerator<Batch> {
  const fresh = (): Batch => ({ kind, items: [], lines: [], length: 0 });
  let batch = fresh();
  const taken = new Set<string>();
  const isOld = ({ stream, at }: ScannedStream) => at.getTime() < before && !taken.has(stream);
  // What other streams say of it counts as well.
  const isPast = ({ events }: ArchiveItem) =>
    events.every(({ position, at }) => position <= upTo && at.getTime() < before);
  for await (const streams of oldStreams(db, kind.prefix, upTo)) {
    for (const item of await kind.collect(db, streams.filter(isOld), upTo)) {
      if (!isPast(item)) continue;
      taken.add(item.stream);
      const line = lineOfItem(kind.kind, item, codec);
      batch.items.push(item);
      batch.lines.push(line);
      batch.length += line.length;
      if (batch.items.length < mostItems && batch.length < mostCharacters) continue;
      yield batch;
      batch = fresh();
      taken.clear();
    }
  }
  if (batch.items.length > 0) yield batch;
}

/**
 * Deletes what is in a file and says where it is. What has changed since it was collected stays, and its line in the file
 * is nobody's. The counter is taken last: whoever appends to one of the streams has committed before or looks at it again.
 */
async function leave(tx: Tx, file: bigint, batch: Batch, packed: Packed): Promise<number> {
  const [counter] = await tx.query<{ position: bigint }>("SELECT position FROM event_counter");
  const left = new Set(await batch.kind.remove(tx, batch.items));
  const streams = [...left];
  // Its file is nobody's, and the next run removes it.
  if (streams.length === 0) return 0;
  const gone = await tx.query<{ stream: string; version: number; position: bigint; at: Date }>(
    "DELETE FROM events WHERE stream = ANY($1) RETURNING stream, version, position, at",
    [streams],
  );
  const newest = new Map<string, number>();
  for (const { stream, version } of gone) newest.set(stream, Math.max(version, newest.get(stream) ?? 0));
  const rows = batch.items.flatMap((item, index) => {
    const place = packed.places[index];
    if (!place || !left.has(item.stream)) return [];
    if (newest.get(item.stream) !== item.version) throw changed(item.stream);
    return [{ ...place, ...item, kind: batch.kind.kind, place: item.events[0]?.position ?? 0n }];
  });
  await indexItems(tx, file, rows);
  const times = gone.map(({ at }) => at.getTime());
  const [firstAt, lastAt] = [new Date(least(times)), new Date(-least(times.map((time) => -time)))];
  const { sha256, bytes } = packed;
  await endFile(tx, file, { items: rows.length, bytes: bytes.length, sha256, firstAt, lastAt });
  const last = gone.reduce((most, { position }) => (position > most ? position : most), 0n);
  await tx.query("UPDATE event_kept SET after = $1 WHERE after < $1", [last]);
  await tx.query("UPDATE event_counter SET archivals = archivals + 1");
  const late = await tx.query("SELECT 1 FROM events WHERE position > $1 AND stream = ANY($2) LIMIT 1", [
    counter?.position ?? 0n,
    streams,
  ]);
  if (late.length > 0) throw changed("one of several");
  return rows.length;
}

const changed = (stream: string) =>
  new LockstepError("conflict", "something has happened to what was to be archived", { details: { stream } });

const lesser = (a: bigint, b: bigint): bigint => (a < b ? a : b);
/** Of few or many: the arguments of a call are limited. */
const least = (numbers: readonly number[]): number => numbers.reduce((a, b) => Math.min(a, b), Number.MAX_SAFE_INTEGER);

const manifestOf = (name: string): string => name.replace(/\.ndjson\.gz$/, ".manifest.json");

function manifestFor(batch: Batch, name: string, { bytes, sha256 }: Packed, at: Date) {
  const positions = batch.items.flatMap(({ events }) => events.map(({ position }) => position));
  const times = batch.items.flatMap(({ events }) => events.map((event) => event.at.getTime()));
  return {
    ...{ format: 1, name, kind: batch.kind.kind, items: batch.items.length },
    ...{ bytes: bytes.length, sha256, writtenAt: at.toISOString() },
    positions: {
      first: positions.reduce(lesser, 2n ** 62n),
      last: positions.reduce((a, b) => (a > b ? a : b), 0n),
    },
    times: {
      first: new Date(least(times)).toISOString(),
      last: new Date(-least(times.map((time) => -time))).toISOString(),
    },
  };
}
