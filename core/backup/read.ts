import { createHash } from "node:crypto";
import type { z } from "zod";
import { readLines } from "./lines.ts";
import {
  type BackupKeys,
  beginSchema,
  endSchema,
  invalid,
  isSealedBy,
  type Manifest,
  type ManifestTable,
  manifestSchema,
  sealSchema,
} from "./manifest.ts";

/** The values of a row as PostgreSQL writes them, in the order of the table's columns. */
export type BackupRow = readonly (string | null)[];

/** What reading a backup tells. Rows are never more than a few at a time. */
export type BackupReader = {
  manifest(manifest: Manifest): Promise<void> | void;
  rows(table: ManifestTable, rows: readonly BackupRow[]): Promise<void> | void;
};

/** What was found in a backup that is whole. */
export type BackupContents = {
  readonly manifest: Manifest;
  readonly rows: Readonly<Record<string, number>>;
  readonly sha256: string;
  /** Made under one of the keys; undefined where no keys were given. */
  readonly sealed: boolean | undefined;
};

const mostRows = 500;
const mostBytes = 1024 * 1024;

/**
 * Reads a backup from the first line to the last and checks every sum. Throws `backup-invalid` at the first thing that is
 * not as it was written; until it returns, nothing that it told is sure to be whole.
 */
export async function readBackup(
  file: string,
  reader: BackupReader,
  keys: BackupKeys | undefined,
): Promise<BackupContents> {
  const lines = readLines(file);
  const whole = createHash("sha256");
  const next = async (): Promise<Buffer> => {
    const { value, done } = await lines.next();
    if (done) throw invalid(`${file} is cut: its end is missing`);
    return value;
  };
  const hashed = async (): Promise<Buffer> => {
    const line = await next();
    whole.update(line).update("\n");
    return line;
  };
  try {
    const manifest = parse(manifestSchema, await hashed(), `${file} is no backup of this version of the format`);
    await reader.manifest(manifest);
    const counts: Record<string, number> = {};
    for (const table of manifest.tables) counts[table.name] = await readTable(table, hashed, reader, file);
    const end = parse(sealSchema, await next(), `${file} is damaged: it has no end where its manifest says so`);
    const sha256 = whole.digest("hex");
    if (end.sha256 !== sha256) throw invalid(`${file} is damaged: its sum is not that of what is in it`);
    if (!(await lines.next()).done) throw invalid(`${file} is damaged: there is something behind its end`);
    const sealed = keys && isSealedBy(keys, sha256, end.seal);
    if (sealed === false) {
      throw invalid(`${file} was not made under the configured sealing key, or under one of previousSealingKeys`);
    }
    return { manifest, rows: counts, sha256, sealed };
  } finally {
    await lines.return(undefined);
  }
}

async function readTable(
  table: ManifestTable,
  next: () => Promise<Buffer>,
  reader: BackupReader,
  file: string,
): Promise<number> {
  const damaged = () => invalid(`${file} is damaged in the rows of ${table.name}`);
  if (parse(beginSchema, await next(), damaged().message).table !== table.name) throw damaged();
  const sum = createHash("sha256");
  let count = 0;
  let batch: BackupRow[] = [];
  let bytes = 0;
  const flush = async () => {
    if (batch.length > 0) await reader.rows(table, batch);
    batch = [];
    bytes = 0;
  };
  for (;;) {
    const line = await next();
    // A row is a list, and what ends a table an object.
    if (line[0] !== 0x5b) {
      await flush();
      const end = parse(endSchema, line, damaged().message);
      if (end.rows !== count || end.sha256 !== sum.digest("hex")) throw damaged();
      return count;
    }
    sum.update(line).update("\n");
    batch.push(rowOf(line, table, damaged));
    count += 1;
    bytes += line.length;
    if (batch.length >= mostRows || bytes >= mostBytes) await flush();
  }
}

function rowOf(line: Buffer, { columns }: ManifestTable, damaged: () => Error): BackupRow {
  const row = jsonOf(line);
  const isRow =
    Array.isArray(row) &&
    row.length === columns.length &&
    row.every((value) => value === null || typeof value === "string");
  if (!isRow) throw damaged();
  return row;
}

function parse<S extends z.ZodType>(schema: S, line: Buffer, message: string): z.output<S> {
  const parsed = schema.safeParse(jsonOf(line));
  if (parsed.success) return parsed.data;
  throw invalid(message);
}

function jsonOf(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString());
  } catch {
    return undefined;
  }
}
