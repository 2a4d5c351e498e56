import type { Migration, Queryable, Tx } from "../db/db.ts";
import { isLockstepError, LockstepError } from "../kernel/errors.ts";
import type { LinePlace } from "./format.ts";
import type { ItemKey } from "./kinds.ts";
import type { ArchiveStorage } from "./storage.ts";

/**
 * Files of the archive. A row is there before its file and after it: what is not `stored` may be there or not, and nothing
 * that has left the database is in it.
 */
export const archiveMigrations: readonly Migration[] = [
  {
    id: "archive/001-create",
    sql: `
      CREATE TABLE archive_files (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL UNIQUE,
        kind text NOT NULL,
        state text NOT NULL CHECK (state IN ('writing', 'removing', 'stored')),
        items integer NOT NULL DEFAULT 0,
        bytes bigint NOT NULL DEFAULT 0,
        sha256 text,
        first_at timestamptz,
        last_at timestamptz,
        created_at timestamptz NOT NULL
      );
      CREATE INDEX archive_files_unfinished ON archive_files (id) WHERE state <> 'stored';
    `,
  },
];

export type ArchiveFile = {
  readonly id: bigint;
  readonly name: string;
  readonly kind: string;
  readonly state: "writing" | "removing" | "stored";
  readonly items: number;
  /** As it is stored. */
  readonly bytes: bigint;
  readonly sha256: string | null;
  /** Of all events of its items. */
  readonly firstAt: Date | null;
  readonly lastAt: Date | null;
  readonly createdAt: Date;
};

const fileColumns = `id, name, kind, state, items, bytes, sha256, first_at AS "firstAt", last_at AS "lastAt",
  created_at AS "createdAt"`;

/** Notes that a file is going to be written; answers its id. */
export async function beginFile(to: Queryable, name: string, kind: string, at: Date): Promise<bigint> {
  const [row] = await to.query<{ id: bigint }>(
    "INSERT INTO archive_files (name, kind, state, created_at) VALUES ($1, $2, 'writing', $3) RETURNING id",
    [name, kind, at],
  );
  return row?.id ?? 0n;
}

export async function endFile(
  to: Queryable,
  id: bigint,
  file: { readonly items: number; readonly bytes: number; readonly sha256: string; firstAt: Date; lastAt: Date },
): Promise<void> {
  const ended = await to.query(
    `UPDATE archive_files SET state = 'stored', items = $2, bytes = $3, sha256 = $4, first_at = $5, last_at = $6
      WHERE id = $1 AND state = 'writing' RETURNING id`,
    [id, file.items, file.bytes, file.sha256, file.firstAt, file.lastAt],
  );
  if (ended.length > 0) return;
  throw new LockstepError("conflict", "another process has removed the archived file that this one was writing");
}

/**
 * Throws `archive-unreachable` where the newest file is not in the store: what leaves must not go to a folder that is not
 * mounted, or to another bucket, where nobody finds it again.
 */
export async function assertSameStore(from: Queryable, storage: ArchiveStorage): Promise<void> {
  const [newest] = await listFiles(from, undefined, 1);
  if (!newest) return;
  await storage.read(newest.name, { start: 0, length: 1 }).catch((error: unknown) => {
    if (!isLockstepError(error, "archive-damaged")) throw error;
    throw new LockstepError(
      "archive-unreachable",
      `${newest.name} is not in ${storage.place}: is it mounted, and the place where the archive was?`,
      { cause: error },
    );
  });
}

/** Takes the files that somebody began to write, so that whoever it was cannot finish them any more. */
export const takeUnfinished = (from: Queryable): Promise<{ id: bigint; name: string }[]> =>
  from.query<{ id: bigint; name: string }>(
    "UPDATE archive_files SET state = 'removing' WHERE state <> 'stored' RETURNING id, name",
  );

export async function forgetFile(to: Queryable, id: bigint): Promise<void> {
  await to.query("DELETE FROM archive_files WHERE id = $1 AND state = 'removing'", [id]);
}

/** Files, newest first, below an id. */
export const listFiles = (from: Queryable, before: bigint | undefined, limit: number): Promise<ArchiveFile[]> =>
  from.query<ArchiveFile>(
    `SELECT ${fileColumns} FROM archive_files WHERE state = 'stored' AND ($1::bigint IS NULL OR id < $1)
      ORDER BY id DESC LIMIT $2`,
    [before ?? null, limit],
  );

/** An item that leaves, with its place in a file. */
export type IndexRow = LinePlace & {
  readonly stream: string;
  readonly kind: string;
  readonly place: bigint;
  readonly keys: readonly ItemKey[];
};

export async function indexItems(tx: Tx, file: bigint, rows: readonly IndexRow[]): Promise<void> {
  await tx.query(
    `INSERT INTO event_archive (stream, kind, place, file, part_start, part_length, line_start, line_length, sha256)
     SELECT stream, kind, place, $1, part_start, part_length, line_start, line_length, sha256
       FROM unnest($2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::integer[], $7::integer[], $8::integer[], $9::text[])
         AS given (stream, kind, place, part_start, part_length, line_start, line_length, sha256)`,
    [
      file,
      ...[rows.map(({ stream }) => stream), rows.map(({ kind }) => kind), rows.map(({ place }) => place)],
      ...[rows.map(({ partStart }) => partStart), rows.map((row) => row.partLength)],
      ...[rows.map(({ lineStart }) => lineStart), rows.map(({ lineLength }) => lineLength)],
      rows.map((row) => row.sha256),
    ],
  );
  const keys = rows.flatMap(({ kind, stream, keys: own }) => own.map((key) => ({ ...key, kind, stream })));
  await tx.query(
    `INSERT INTO event_archive_keys (kind, key, rank, stream)
     SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::text[]) ON CONFLICT DO NOTHING`,
    [
      ...[keys.map(({ kind }) => kind), keys.map(({ key }) => key)],
      ...[keys.map(({ rank }) => rank), keys.map(({ stream }) => stream)],
    ],
  );
}

/** An item of the archive: where it is. */
export type IndexEntry = LinePlace & {
  readonly stream: string;
  readonly kind: string;
  readonly place: bigint;
  /** Name of the file. */
  readonly name: string;
};

const entryColumns = `a.stream, a.kind, a.place, f.name, a.part_start AS "partStart", a.part_length AS "partLength",
  a.line_start AS "lineStart", a.line_length AS "lineLength", a.sha256`;

type EntryRow = Omit<IndexEntry, "partStart"> & { partStart: bigint };
const entryOf = (row: EntryRow): IndexEntry => ({ ...row, partStart: Number(row.partStart) });

/** Those of the streams that are archived. */
export async function entriesOf(from: Queryable, streams: readonly string[]): Promise<IndexEntry[]> {
  const rows = await from.query<EntryRow>(
    `SELECT ${entryColumns} FROM event_archive a JOIN archive_files f ON f.id = a.file WHERE a.stream = ANY($1)`,
    [streams],
  );
  return rows.map(entryOf);
}

/** Streams of a kind in the archive, those that began last first, below a place. */
export async function archivedStreams(
  from: Queryable,
  kind: string,
  before: bigint | undefined,
  limit: number,
): Promise<{ stream: string; place: bigint }[]> {
  return from.query<{ stream: string; place: bigint }>(
    `SELECT stream, place FROM event_archive WHERE kind = $1 AND ($2::bigint IS NULL OR place < $2)
      ORDER BY place DESC LIMIT $3`,
    [kind, before ?? null, limit],
  );
}
