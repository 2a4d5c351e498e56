import { randomUUID } from "node:crypto";
import { gunzipSync } from "node:zlib";
import type { ArchiveReport } from "../../archive/archiver.ts";
import { checkPacked, pack } from "../../archive/format.ts";
import type { ArchiveStorage } from "../../archive/storage.ts";
import { damaged } from "../../archive/storage.ts";
import { assertSameStore, beginFile, endFile } from "../../archive/tables.ts";
import type { Db, Queryable } from "../../db/db.ts";
import type { Clock } from "../../kernel/clock.ts";
import { parseJson } from "../../kernel/json.ts";
import type { Mark } from "../../kernel/mark.ts";
import { type AuditRow, auditFields } from "./chain.ts";

/** Lines of one file. */
const mostLines = 10_000;

/** Lines of the audit that have left the database, the oldest first. */
export type ArchivedAudit = {
  /** Those after a line, of one file; undefined when the archive has none. */
  after(seq: number): Promise<readonly AuditRow[] | undefined>;
};

type Deps = { db: Db; storage: ArchiveStorage; clock: Clock; mark: Mark; keptMs: number };

/**
 * Moves the oldest lines of the audit to files, as they were written: the chain goes on from file to file and into the
 * database. Nothing is deleted but what the database knows to be in a file that was read back.
 */
export function createAuditArchiver({ db, storage, clock, mark, keptMs }: Deps): { run(): Promise<ArchiveReport> } {
  async function move(rows: readonly AuditRow[], first: AuditRow, last: AuditRow): Promise<number> {
    const packed = await pack(rows.map((row) => JSON.stringify(row)));
    const at = new Date(clock.now());
    const name = `audit/${at.toISOString().slice(0, 7).replace("-", "/")}/${first.seq}-${randomUUID().slice(0, 8)}.ndjson.gz`;
    const file = await beginFile(db, name, "audit", at);
    mark("audit.begun");
    await storage.put(name, packed.bytes);
    await checkPacked(await storage.read(name), packed);
    mark("audit.checked");
    const { bytes, sha256 } = packed;
    await db.tx(async (tx) => {
      const times = { firstAt: new Date(first.at), lastAt: new Date(last.at) };
      await endFile(tx, file, { items: rows.length, bytes: bytes.length, sha256, ...times });
      await tx.query("INSERT INTO audit_archive (first, last, file) VALUES ($1, $2, $3)", [first.seq, last.seq, file]);
      await tx.query("DELETE FROM audit_log WHERE seq <= $1", [last.seq]);
    });
    return bytes.length;
  }

  return {
    async run() {
      await assertSameStore(db, storage);
      let [files, bytes, lines] = [0, 0, 0];
      for (;;) {
        const rows = await oldLines(db, clock.now() - keptMs);
        const [first, last] = [rows[0], rows.at(-1)];
        if (!first || !last) return { items: lines > 0 ? { audit: lines } : {}, files, bytes };
        bytes += await move(rows, first, last);
        lines += rows.length;
        files += 1;
      }
    },
  };
}

type Row = Omit<AuditRow, "seq" | "at"> & { seq: bigint; at: bigint };

/** The oldest lines up to the first that is not old enough. */
async function oldLines(from: Queryable, before: number): Promise<AuditRow[]> {
  const rows = await from.query<Row>(
    `SELECT seq, kind, request, at, caller, address, method, route, params, idempotency_key AS "idempotencyKey", body, status,
            code, duration_ms AS "durationMs", count, hash FROM audit_log ORDER BY seq LIMIT $1`,
    [mostLines],
  );
  const end = rows.findIndex(({ at }) => Number(at) >= before);
  const old = end < 0 ? rows : rows.slice(0, end);
  return old.map((row) => ({ ...row, seq: Number(row.seq), at: Number(row.at) }));
}

/** Throws `archive-unreachable` or `archive-damaged`. Lines that were changed are given as they are: the chain tells. */
export function createArchivedAudit({ db, storage }: { db: Queryable; storage: ArchiveStorage }): ArchivedAudit {
  return {
    async after(seq) {
      const [file] = await db.query<{ name: string }>(
        `SELECT f.name FROM audit_archive a JOIN archive_files f ON f.id = a.file WHERE a.last > $1 ORDER BY a.last LIMIT 1`,
        [seq],
      );
      if (!file) return undefined;
      return linesOf(await storage.read(file.name), file.name).filter((row) => row.seq > seq);
    },
  };
}

function linesOf(bytes: Buffer, name: string): AuditRow[] {
  let text: string;
  try {
    text = gunzipSync(bytes).toString();
  } catch (error) {
    throw damaged(`${name} does not expand`, error);
  }
  return text
    .trimEnd()
    .split("\n")
    .map((line) => {
      const row = parseJson(line);
      if (isRow(row)) return row;
      throw damaged(`a line of ${name} is none of the audit`);
    });
}

const isRow = (row: unknown): row is AuditRow =>
  typeof row === "object" &&
  row !== null &&
  "seq" in row &&
  typeof row.seq === "number" &&
  "hash" in row &&
  auditFields.every((field) => field in row);
