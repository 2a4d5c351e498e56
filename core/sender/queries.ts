import type { Queryable } from "../db/db.ts";
import type { Hex } from "../kernel/codec.ts";
import type { AbandonReason } from "./outcomes.ts";
import type { IntentStatus } from "./sender.ts";

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

/** Which intent a transaction was signed for; undefined for transactions of others. */
export async function findIntentByTransaction(
  from: Queryable,
  hash: Hex,
): Promise<{ intentId: string; subject: string; kind: string } | undefined> {
  const [row] = await from.query<{ id: string; subject: string; kind: string }>(
    `SELECT i.id, i.subject, i.kind FROM sender_attempt a JOIN sender_intent i ON i.id = a.intent WHERE a.hash = $1`,
    [hash.toLowerCase()],
  );
  return row && { intentId: row.id, subject: row.subject, kind: row.kind };
}
