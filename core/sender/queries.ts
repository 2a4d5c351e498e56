import type { Queryable } from "../db/db.ts";
import type { Hex } from "../kernel/codec.ts";
import type { AbandonReason } from "./outcomes.ts";
import type { IntentStatus, SentIntent } from "./sender.ts";

type StatusRow = {
  state: "queued" | "signed" | "included" | "finalized" | "abandoned";
  released: boolean;
  reason: AbandonReason | null;
  detail: string | null;
  hash: Hex | null;
  block: bigint | null;
  status: "success" | "reverted" | null;
  gas_used: bigint | null;
};

/** Where an intent is; undefined when nobody ever asked for it. A void in a block shows as `sent`: it is not the call. */
export async function findIntent(from: Queryable, id: string): Promise<IntentStatus | undefined> {
  const [row] = await from.query<StatusRow>(
    `SELECT i.state, i.released, i.reason, i.detail, a.hash, i.mined_block AS block, i.mined_status AS status, i.gas_used
     FROM sender_intent i LEFT JOIN sender_attempt a ON a.hash = i.mined_hash AND a.kind = 'call'
     WHERE i.id = $1`,
    [id],
  );
  if (row === undefined) return undefined;
  const { state, hash, status } = row;
  switch (state) {
    case "queued":
      return { state };
    case "abandoned":
      return { state, reason: row.reason ?? "expired", detail: row.detail ?? "" };
    case "signed":
      return { state: row.released ? "sent" : "signed" };
    case "included":
    case "finalized":
      if (hash === null || status === null) return { state: "sent" };
      return state === "included"
        ? { state, hash, status, blockNumber: row.block ?? 0n }
        : { state, hash, status, gasUsed: row.gas_used ?? 0n };
  }
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
