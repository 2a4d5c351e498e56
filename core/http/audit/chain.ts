import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import type { Redacted } from "../../kernel/redacted.ts";

/** What is written of a request, in the order in which it is hashed. Added to at the end, never changed. */
export const auditFields = [
  ...(["kind", "request", "at", "caller", "address", "method", "route", "params"] as const),
  ...(["idempotencyKey", "body", "status", "code", "durationMs", "count"] as const),
] as const;

/**
 * One line of the audit. `begun` comes before an effect, `answered` after it, `refused` is what never came to its
 * handler, `counted` sums up what nobody had to prove who they are for. Hashes are SHA-256 in hex.
 */
export type AuditEntry = {
  readonly kind: "begun" | "answered" | "refused" | "counted";
  /** Joins what is written of one request. */
  readonly request: string;
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly caller: string | null;
  readonly address: string | null;
  readonly method: string | null;
  readonly route: string | null;
  /** Parameters of path and query, as JSON. */
  readonly params: string | null;
  /** Hash of the Idempotency-Key. */
  readonly idempotencyKey: string | null;
  /** Hash of the bytes of the body. */
  readonly body: string | null;
  readonly status: number | null;
  readonly code: string | null;
  readonly durationMs: number | null;
  /** Requests that the line stands for. */
  readonly count: number;
};

/** A line with its place, from 1 on, and the hash that chains it to the one before. */
export type AuditRow = AuditEntry & { readonly seq: number; readonly hash: string };

/** The last line that was written. */
export type AuditHead = { readonly seq: number; readonly hash: string };

export type AuditFinding = AuditHead & { readonly broken?: { readonly seq: number; readonly why: string } };

/** Stands before the first line. */
export const auditStart: AuditHead = { seq: 0, hash: "0".repeat(64) };

/** The line after one. */
export function chainEntry(before: AuditHead, entry: AuditEntry): AuditRow {
  const seq = before.seq + 1;
  const content = JSON.stringify([seq, ...auditFields.map((field) => entry[field])]);
  const hash = createHash("sha256").update(Buffer.from(before.hash, "hex")).update(content).digest("hex");
  return { ...entry, seq, hash };
}

/** A head as only who has the key can write it. */
export function sealHead(key: Redacted<Uint8Array>, { seq, hash }: AuditHead): string {
  return createHmac("sha256", key.reveal()).update(`${seq} ${hash}`).digest("hex");
}

export function isSealOf(key: Redacted<Uint8Array>, head: AuditHead, seal: string): boolean {
  const [given, wanted] = [Buffer.from(seal), Buffer.from(sealHead(key, head))];
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

/**
 * Goes through lines from the first on: whether each follows the one before, and whether `known` heads of other times
 * are among them. Answers how far it came, and where it is broken first.
 */
export async function verifyAudit(
  rows: AsyncIterable<AuditRow> | Iterable<AuditRow>,
  known: readonly AuditHead[] = [],
): Promise<AuditFinding> {
  const wanted = new Map(known.filter(({ seq }) => seq > 0).map(({ seq, hash }) => [seq, hash]));
  let head = auditStart;
  const broken = (seq: number, why: string): AuditFinding => ({ ...head, broken: { seq, why } });
  for await (const row of rows) {
    if (row.seq !== head.seq + 1) return broken(head.seq + 1, `line ${row.seq} comes after line ${head.seq}`);
    if (chainEntry(head, row).hash !== row.hash) return broken(row.seq, "its hash is not that of its content");
    const noted = wanted.get(row.seq);
    if (noted !== undefined && noted !== row.hash) return broken(row.seq, "it had another hash before");
    head = { seq: row.seq, hash: row.hash };
  }
  const last = Math.max(0, ...wanted.keys());
  return last > head.seq ? broken(head.seq + 1, `there were ${last} lines, and ${head.seq} are left`) : head;
}
