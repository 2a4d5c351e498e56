import type { Db, Queryable, Tx } from "../../db/db.ts";
import { gather } from "../../kernel/gather.ts";
import type { Redacted } from "../../kernel/redacted.ts";
import type { ArchivedAudit } from "./archive.ts";
import {
  type AuditEntry,
  type AuditFinding,
  type AuditHead,
  type AuditRow,
  chainEntry,
  isSealOf,
  sealHead,
  verifyAudit,
} from "./chain.ts";

type AuditFilter = {
  readonly caller?: string | undefined;
  readonly route?: string | undefined;
  readonly since?: Date | undefined;
  /** Not in it. */
  readonly until?: Date | undefined;
};

export type AuditLog = {
  /** Resolves once the line will survive a crash. */
  write(entry: AuditEntry): Promise<void>;
  /** Lines that fit, the newest first, below a place. */
  list(filter: AuditFilter, before: bigint | undefined, limit: number): Promise<AuditRow[]>;
  /** All lines, the oldest first. */
  read(): AsyncGenerator<AuditRow>;
  /** Whether all lines are as they were written; `known`: heads that somebody noted at other times. */
  verify(known?: readonly AuditHead[]): Promise<AuditFinding>;
  /** Seals the head by the present key where one before it has, so that that one may go. */
  reseal(): Promise<void>;
};

/** The present key, and those before it. */
export type AuditKeys = readonly [present: Redacted<Uint8Array>, ...before: Redacted<Uint8Array>[]];

/** Stands for the seal of a head that followed one that was not ours. */
const forged = "forged";
const mostAtOnce = 500;
const pageSize = 1_000;
const columns = `seq, kind, request, at, caller, address, method, route, params, idempotency_key AS "idempotencyKey",
  body, status, code, duration_ms AS "durationMs", count, hash`;

type Row = Omit<AuditRow, "seq" | "at"> & { seq: bigint; at: bigint };
const rowOf = (row: Row): AuditRow => ({ ...row, seq: Number(row.seq), at: Number(row.at) });

/**
 * The audit in the database: one chain however many processes write, each of which holds its head while it adds to it.
 * Lines that come at once share a transaction. The first key seals the head, so that who has only the database cannot
 * chain anew; a head that one of the others has sealed, before a rotation, is as good.
 */
export function createAuditLog(deps: {
  db: Db;
  keys: AuditKeys;
  /** Lines that have left the database; none where it is left out. */
  archived?: ArchivedAudit | undefined;
}): AuditLog {
  const { db, keys, archived } = deps;
  /** What this process wrote last, and whether nobody else has written between its last two lines. */
  let [last, isAlone]: [SealedHead | undefined, boolean] = [undefined, false];
  const write = gather<AuditEntry, undefined>(async (entries) => {
    const before = last;
    // Who is alone needs one statement, without looking at the head first.
    const followed = isAlone && before ? await append(db, keys, before, entries) : undefined;
    const written = followed ? { before, head: followed } : await db.tx((tx) => appendLast(tx, keys, entries));
    [last, isAlone] = [written.head, written.before?.hash === before?.hash];
    return entries.map(() => ({ status: "fulfilled", value: undefined }));
  }, mostAtOnce);

  async function* read(last = Number.MAX_SAFE_INTEGER): AsyncGenerator<AuditRow> {
    for (let after = 0; ; ) {
      const page = await db.query<Row>(
        `SELECT ${columns} FROM audit_log WHERE seq > $1 AND seq <= $2 ORDER BY seq LIMIT $3`,
        [after, last, pageSize],
      );
      const follows = Number(page[0]?.seq ?? 0) === after + 1;
      // What is not here has left, now or long ago, or is lost.
      const moved = follows ? undefined : await archived?.after(after);
      const rows = moved && moved.length > 0 ? moved : page.map(rowOf);
      yield* rows;
      const end = rows.at(-1);
      if (!end || (rows !== moved && page.length < pageSize)) return;
      after = end.seq;
    }
  }

  return {
    write,
    list: async ({ caller, route, since, until }, before, limit) => {
      const rows = await db.query<Row>(
        `SELECT ${columns} FROM audit_log
         WHERE ($1::bigint IS NULL OR seq < $1) AND ($2::text IS NULL OR caller = $2)
           AND ($3::text IS NULL OR route = $3) AND ($4::bigint IS NULL OR at >= $4) AND ($5::bigint IS NULL OR at < $5)
         ORDER BY seq DESC LIMIT $6`,
        [before ?? null, caller ?? null, route ?? null, since?.getTime() ?? null, until?.getTime() ?? null, limit],
      );
      return rows.map(rowOf);
    },
    read,
    reseal: () =>
      db.tx(async (tx) => {
        const head = await headOf(tx, "FOR UPDATE");
        if (head.seq === 0 || !isOurs(keys, head)) return;
        await tx.query("UPDATE audit_head SET seal = $1", [sealHead(keys[0], head)]);
      }),
    async verify(known = []) {
      const head = await headOf(db);
      const isSealed = isOurs(keys, head);
      const found = await verifyAudit(read(), [...known, head]);
      if (found.broken || isSealed) return found;
      return { ...found, broken: { seq: head.seq, why: "its seal is not of this service" } };
    },
  };
}

type SealedHead = AuditHead & { readonly seal: string };

async function headOf(from: Queryable, lock = ""): Promise<SealedHead> {
  const [head] = await from.query<{ seq: bigint; hash: string; seal: string }>(
    `SELECT seq, hash, seal FROM audit_head ${lock}`,
  );
  if (!head) throw new Error("the audit has no head");
  return { ...head, seq: Number(head.seq) };
}

const isOurs = (keys: AuditKeys, head: SealedHead): boolean =>
  head.seq === 0 ? head.seal === "" : keys.some((key) => isSealOf(key, head, head.seal));

/** Writes after whatever is last, which nobody changes meanwhile. */
async function appendLast(tx: Tx, keys: AuditKeys, entries: readonly AuditEntry[]) {
  const before = await headOf(tx, "FOR UPDATE");
  const head = await append(tx, keys, before, entries);
  if (!head) throw new Error("the head of the audit changed while it was held");
  return { before, head };
}

/** Writes after a head; undefined when that is not the last one, and then nothing is written. */
async function append(
  to: Queryable,
  keys: AuditKeys,
  before: SealedHead,
  entries: readonly AuditEntry[],
): Promise<SealedHead | undefined> {
  let head: AuditHead = before;
  const rows = entries.map((entry) => {
    const row = chainEntry(head, entry);
    head = row;
    return row;
  });
  // What somebody else has chained must not become ours by what we add: a seal that is wrong stays so.
  const seal = isOurs(keys, before) ? sealHead(keys[0], head) : forged;
  const written = await to.query(
    `WITH head AS (
       UPDATE audit_head SET seq = $17, hash = $18, seal = $19 WHERE seq = $20 AND hash = $21 AND seal = $22 RETURNING 1
     ), added AS (
       INSERT INTO audit_log (seq, kind, request, at, caller, address, method, route, params, idempotency_key, body, status,
                              code, duration_ms, count, hash)
       SELECT new.* FROM head CROSS JOIN unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[],
         $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::integer[], $13::text[], $14::integer[],
         $15::integer[], $16::text[]) AS new)
     SELECT FROM head`,
    [
      ...(["seq", "kind", "request", "at", "caller", "address", "method", "route", "params"] as const).map((name) =>
        rows.map((row) => row[name]),
      ),
      ...(["idempotencyKey", "body", "status", "code", "durationMs", "count", "hash"] as const).map((name) =>
        rows.map((row) => row[name]),
      ),
      ...[head.seq, head.hash, seal, before.seq, before.hash, before.seal],
    ],
  );
  return written.length === 0 ? undefined : { seq: head.seq, hash: head.hash, seal };
}
