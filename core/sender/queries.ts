import type { Queryable } from "../db/db.ts";
import type { Hex } from "../kernel/codec.ts";
import type { AbandonReason } from "./outcomes.ts";
import { type IntentStatus, type SentIntent, type WaitCode, type Waiting, waitCodes } from "./sender.ts";

type StatusRow = {
  id: string;
  state: "queued" | "signed" | "included" | "finalized" | "abandoned";
  released: boolean;
  reason: AbandonReason | null;
  detail: string | null;
  hash: Hex | null;
  block: bigint | null;
  status: "success" | "reverted" | null;
  gas_used: bigint | null;
  waiting_code: string | null;
  waiting_detail: string | null;
  ahead: string | null;
  ahead_code: string | null;
  ahead_detail: string | null;
};

/** Where intents are; those that nobody ever asked for are absent. A void in a block shows as `sent`: it is not the call. */
export async function findIntents(from: Queryable, ids: readonly string[]): Promise<ReadonlyMap<string, IntentStatus>> {
  const rows = await from.query<StatusRow>(
    `SELECT i.id, i.state, i.released, i.reason, i.detail, a.hash, i.mined_block AS block, i.mined_status AS status, i.gas_used,
            i.waiting_code, i.waiting_detail, h.id AS ahead, h.waiting_code AS ahead_code, h.waiting_detail AS ahead_detail
     FROM sender_intent i
     LEFT JOIN sender_attempt a ON a.hash = i.mined_hash AND a.kind = 'call'
     LEFT JOIN LATERAL (
       SELECT id, waiting_code, waiting_detail FROM sender_intent o
       WHERE i.state = 'signed' AND o.chain = i.chain AND o.account = i.account AND o.state = 'signed'
         AND o.nonce < i.nonce AND o.waiting_code IS NOT NULL
       ORDER BY o.nonce LIMIT 1) h ON true
     WHERE i.id = ANY($1)`,
    [[...new Set(ids)]],
  );
  return new Map(rows.map((row) => [row.id, statusOf(row)]));
}

function statusOf(row: StatusRow): IntentStatus {
  const { state, hash, status } = row;
  switch (state) {
    case "queued":
      return { state, ...waitingOf(row) };
    case "abandoned":
      return { state, reason: row.reason ?? "expired", detail: row.detail ?? "" };
    case "signed":
      return { state: row.released ? "sent" : "signed", ...waitingOf(row) };
    case "included":
    case "finalized":
      if (hash === null || status === null) return { state: "sent" };
      return state === "included"
        ? { state, hash, status, blockNumber: row.block ?? 0n }
        : { state, hash, status, blockNumber: row.block ?? 0n, gasUsed: row.gas_used ?? 0n };
  }
}

/** Its own reason, or that of a transaction that has to go before it. */
function waitingOf(row: StatusRow): { waiting?: Waiting } {
  const own = toWaiting(row.waiting_code, row.waiting_detail);
  if (own !== undefined) return { waiting: own };
  const ahead = toWaiting(row.ahead_code, row.ahead_detail);
  if (ahead === undefined) return {};
  return { waiting: { code: ahead.code, detail: `it waits behind ${row.ahead}: ${ahead.detail}` } };
}

const toWaiting = (code: string | null, detail: string | null): Waiting | undefined =>
  isWaitCode(code) ? { code, detail: detail ?? "" } : undefined;

const isWaitCode = (code: string | null): code is WaitCode => waitCodes.some((known) => known === code);

/** Why open intents wait, of those that have a reason of their own. */
export async function findWaiting(from: Queryable): Promise<ReadonlyMap<string, Waiting>> {
  const rows = await from.query<{ id: string; code: string; detail: string | null }>(
    `SELECT id, waiting_code AS code, waiting_detail AS detail FROM sender_intent
     WHERE state IN ('queued', 'signed') AND waiting_code IS NOT NULL`,
  );
  return new Map(
    rows.flatMap(({ id, code, detail }) => {
      const waiting = toWaiting(code, detail);
      return waiting === undefined ? [] : [[id, waiting] as const];
    }),
  );
}

/** Intents of a chain that have not ended: those that have no nonce yet, and those under way or in a block not final. */
export type OpenIntents = { readonly queued: number; readonly signed: number };

export async function countOpenIntents(from: Queryable, chain: string): Promise<OpenIntents> {
  const [row] = await from.query<OpenIntents>(
    `SELECT (count(*) FILTER (WHERE state = 'queued'))::integer AS queued,
            (count(*) FILTER (WHERE state <> 'queued'))::integer AS signed
     FROM sender_intent WHERE chain = $1 AND state IN ('queued', 'signed', 'included')`,
    [chain],
  );
  return row ?? { queued: 0, signed: 0 };
}

/** Which intents transactions were signed for; those of others are absent. Hashes are in lower case. */
export async function findIntentsByTransactions(
  from: Queryable,
  hashes: readonly Hex[],
): Promise<ReadonlyMap<Hex, SentIntent>> {
  if (hashes.length === 0) return new Map();
  const rows = await from.query<{ hash: Hex; id: string; subject: string; kind: string }>(
    `SELECT a.hash, i.id, i.subject, i.kind
     FROM sender_attempt a JOIN sender_intent i ON i.id = a.intent WHERE a.hash = ANY($1)`,
    [hashes.map((hash) => hash.toLowerCase())],
  );
  return new Map(rows.map(({ hash, id, subject, kind }) => [hash, { intentId: id, subject, kind }]));
}
