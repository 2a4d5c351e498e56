import type { Db, Queryable } from "../db/db.ts";
import type { Waiting } from "./sender.ts";

/** Why intents of one lane wait, kept where everybody can read it and written only when it changes. */
export type Waits = {
  note(intentId: string, waiting: Waiting): void;
  /** Nothing is in its way any more. */
  clear(intentId: string): void;
  /** It moved on, which its row shows already. */
  forget(intentId: string): void;
  /** Writes what changed since the last time, in one statement at most. */
  flush(to: Db): Promise<void>;
  /** Reads what is kept, instead of what is remembered. */
  reload(from: Queryable): Promise<void>;
};

export function createWaits(lane: { chain: string; account: string }): Waits {
  const kept = new Map<string, string>();
  const changed = new Map<string, Waiting | undefined>();
  return {
    note(id, waiting) {
      if (kept.get(id) === waiting.code && !changed.has(id)) return;
      changed.set(id, waiting);
    },
    clear(id) {
      if (kept.has(id)) changed.set(id, undefined);
      else changed.delete(id);
    },
    forget(id) {
      kept.delete(id);
      changed.delete(id);
    },
    async flush(to) {
      if (changed.size === 0) return;
      const rows = [...changed];
      const statement = (tx: Queryable) =>
        tx.query(
          `UPDATE sender_intent i SET waiting_code = w.code, waiting_detail = w.detail
         FROM unnest($1::text[], $2::text[], $3::text[]) AS w (id, code, detail)
         WHERE i.id = w.id AND i.state IN ('queued', 'signed')`,
          [rows.map(([id]) => id), rows.map(([, w]) => w?.code ?? null), rows.map(([, w]) => w?.detail ?? null)],
        );
      await to.tx(statement);
      for (const [id, waiting] of rows) {
        if (waiting === undefined) kept.delete(id);
        else kept.set(id, waiting.code);
        if (changed.get(id) === waiting) changed.delete(id);
      }
    },
    async reload(from) {
      changed.clear();
      kept.clear();
      const rows = await from.query<{ id: string; code: string }>(
        `SELECT id, waiting_code AS code FROM sender_intent
         WHERE chain = $1 AND account = $2 AND state IN ('queued', 'signed') AND waiting_code IS NOT NULL`,
        [lane.chain, lane.account],
      );
      for (const { id, code } of rows) kept.set(id, code);
    },
  };
}
