import type { ArchiveItem, ArchiveKind } from "../archive/kinds.ts";
import type { EventStore } from "../events/store.ts";
import type { Json } from "../kernel/json.ts";
import { intentStream } from "./sender.ts";

type Row = { id: string; events: number; row: Json; attempts: Json };

/**
 * Intents that have ended, with the transactions that were signed for them, once what they were for has left too. The one
 * with the highest nonce of each account stays, and so do those of `counted` kinds: whoever asks for them numbers them by what
 * is found of earlier ones, so that a number would come a second time.
 */
export function archiveIntents(deps: { store: EventStore; keptMs: number; counted: readonly string[] }): ArchiveKind {
  const { store, keptMs, counted } = deps;
  const idOf = (stream: string) => stream.slice(intentStream("").length);
  return {
    ...{ kind: "intent", prefix: intentStream(""), keptMs },
    async collect(from, streams) {
      const rows = await from.query<Row>(
        `SELECT i.id, i.events, to_jsonb(i) AS row, coalesce((
                  SELECT jsonb_agg(to_jsonb(a) - 'sealed' ORDER BY a.place) FROM sender_attempt a WHERE a.intent = i.id
                ), '[]') AS attempts
           FROM sender_intent i
          WHERE i.id = ANY($1) AND i.state IN ('finalized', 'abandoned')
            AND NOT EXISTS (SELECT 1 FROM events e WHERE e.stream = i.subject)
            AND NOT i.kind = ANY($2)
            AND (i.nonce IS NULL OR EXISTS (
              SELECT 1 FROM sender_intent h WHERE h.chain = i.chain AND h.account = i.account AND h.nonce > i.nonce))`,
        [streams.map(({ stream }) => idOf(stream)), counted],
      );
      const histories = await store.loadMany(
        from,
        rows.map(({ id }) => intentStream(id)),
      );
      return rows.flatMap(({ id, events: version, row, attempts }): ArchiveItem[] => {
        const stream = intentStream(id);
        const events = histories.get(stream);
        return events ? [{ stream, version, events, keys: [], rows: { intent: row, attempts } }] : [];
      });
    },
    async remove(tx, items) {
      const ids = items.map(({ stream }) => idOf(stream));
      await tx.query(
        `DELETE FROM sender_attempt a USING sender_intent i
          WHERE a.intent = ANY($1) AND i.id = a.intent AND i.state IN ('finalized', 'abandoned')`,
        [ids],
      );
      const removed = await tx.query<{ id: string }>(
        "DELETE FROM sender_intent WHERE id = ANY($1) AND state IN ('finalized', 'abandoned') RETURNING id",
        [ids],
      );
      return removed.map(({ id }) => intentStream(id));
    },
  };
}
