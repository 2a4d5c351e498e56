import { createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { uint } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import type { Redacted } from "../kernel/redacted.ts";

/** Of the layout of a file. Files of other numbers are refused. */
export const backupFormat = 1;

const table = z.strictObject({
  name: z.string(),
  /** Names and types, in the order of the values of each row. */
  columns: z.array(z.tuple([z.string(), z.string()])),
  /** Columns with a counter of their own, the counter's last value, and whether that was given to a row. */
  counters: z.array(z.strictObject({ column: z.string(), last: uint, given: z.boolean() })),
});

/** The first line of a backup: all that has to be known before the rows. */
export const manifestSchema = z.strictObject({
  lockstepBackup: z.literal(backupFormat),
  id: z.uuid(),
  takenAt: z.iso.datetime(),
  /** Of the program that made it. */
  program: z.string(),
  /** Those that had been applied, in their order. */
  migrations: z.array(z.strictObject({ id: z.string(), checksum: z.string() })),
  /** Of the last event. */
  position: uint,
  /** Hash of the first block of each chain that was read. */
  chains: z.record(z.string(), z.string()),
  /** Processes that were at work. */
  instances: z.int(),
  /** Those with rows in the file, in the order in which they can be filled. */
  tables: z.array(table),
});
export type Manifest = z.output<typeof manifestSchema>;
export type ManifestTable = Manifest["tables"][number];

const sum = z.string().regex(/^[0-9a-f]{64}$/);
/** Begins a table. */
export const beginSchema = z.strictObject({ table: z.string() });
/** Ends a table: how many rows it had, and SHA-256 over their lines. */
export const endSchema = z.strictObject({ rows: z.int(), sha256: sum });
/** The last line: SHA-256 over all lines before it, and who made it. */
export const sealSchema = z.strictObject({ rows: z.int(), sha256: sum, seal: sum });

/** The present key, and those before it. */
export type BackupKeys = readonly [present: Redacted<Uint8Array>, ...before: Redacted<Uint8Array>[]];

/** Shows that whoever has the sealing key made a file of this sum: nobody else's rows become ours. */
export const sealOf = (key: Redacted<Uint8Array>, sha256: string): string =>
  createHmac("sha256", key.reveal()).update(`lockstep backup ${sha256}`).digest("hex");

export const isSealedBy = (keys: BackupKeys, sha256: string, seal: string): boolean =>
  keys.some((key) => timingSafeEqual(Buffer.from(seal), Buffer.from(sealOf(key, sha256))));

export const invalid = (message: string, cause?: unknown): LockstepError =>
  new LockstepError("backup-invalid", message, cause === undefined ? {} : { cause });
