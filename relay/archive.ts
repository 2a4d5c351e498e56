import type { ArchiveItem, ArchiveKind } from "#core/archive/kinds.ts";
import type { Queryable } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { messageIdOf, messageStream } from "./events.ts";
import { historiesOf } from "./history.ts";
import { hasEnded } from "./progress.ts";
import { rowsByIds } from "./readModel.ts";

/** Kind of messages in the archive; for ever. */
const kind = "message";

/** Runs of a lane that are looked at in one transaction. */
const mostRuns = 2_000;

/**
 * Messages that were executed, finally, or will never be sent. The newest executed one of each lane stays: heads of lanes
 * are compared with it, and whatever comes next continues it.
 */
export function archiveMessages(deps: { store: EventStore; keptMs: number }): ArchiveKind {
  const { store, keptMs } = deps;
  return {
    ...{ kind, prefix: messageStream(""), keptMs },
    async collect(from, streams, upTo) {
      const rows = await rowsByIds(
        from,
        streams.map(({ stream }) => messageIdOf(stream) ?? ""),
      );
      const ended = [...rows.values()].filter(({ progress }) => hasEnded(progress)).map(({ id }) => id);
      const free = await notNewest(from, ended, upTo);
      const histories = await historiesOf(store, from, free);
      return free.flatMap((id): ArchiveItem[] => {
        const [row, events] = [rows.get(id), histories.get(id)];
        if (!row || !events) return [];
        const { sent, outcomeId = sent?.onchainId } = row.progress;
        const keys = outcomeId === undefined ? [] : [{ key: outcomeId, rank: 2 }];
        return [{ stream: messageStream(id), version: row.version, events, keys }];
      });
    },
    async remove(tx, items) {
      const removed = await tx.query<{ id: string }>(
        `DELETE FROM relay_messages AS m USING unnest($1::text[], $2::integer[]) AS given (id, version)
          WHERE m.id = given.id AND m.version = given.version
            AND (m.executed_block IS NOT NULL AND m.executed_final OR m.dropped AND m.nonce IS NULL)
         RETURNING m.id`,
        [items.map(({ stream }) => messageIdOf(stream) ?? ""), items.map(({ version }) => version)],
      );
      const ids = removed.map(({ id }) => id);
      await tx.query("DELETE FROM relay_failures WHERE id = ANY($1)", [ids]);
      return ids.map(messageStream);
    },
    tidy: async (tx, upTo) => {
      // The newest event of a lane's stream says where the stream goes on.
      const runs = await tx.query<{ position: bigint }>(
        `SELECT run.position FROM relay_runs AS run JOIN events AS e ON e.position = run.position
          WHERE run.position <= $1
            AND NOT EXISTS (
              SELECT 1 FROM relay_messages AS m WHERE m.origin = run.origin AND m.destination = run.destination
                 AND m.nonce >= lower(run.nonces) AND m.nonce < upper(run.nonces))
            AND EXISTS (SELECT 1 FROM events AS later WHERE later.stream = e.stream AND later.version = e.version + 1)
          ORDER BY run.position LIMIT $2`,
        [upTo, mostRuns],
      );
      const positions = runs.map(({ position }) => position);
      if (positions.length === 0) return 0;
      await tx.query("DELETE FROM relay_runs WHERE position = ANY($1::bigint[])", [positions]);
      await tx.query("DELETE FROM events WHERE position = ANY($1::bigint[])", [positions]);
      await tx.query("UPDATE event_kept SET after = greatest(after, $1)", [positions.at(-1)]);
      return positions.length;
    },
  };
}

/** Those of messages after which their lane has executed another one by a position, and those without a place in one. */
async function notNewest(from: Queryable, ids: readonly string[], upTo: bigint): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await from.query<{ id: string }>(
    `SELECT m.id FROM relay_messages AS m WHERE m.id = ANY($1) AND (m.nonce IS NULL OR EXISTS (
       SELECT 1 FROM relay_messages AS later WHERE later.origin = m.origin AND later.destination = m.destination
          AND later.nonce > m.nonce AND later.executed_final AND later.position <= $2))`,
    [ids, upTo],
  );
  return rows.map(({ id }) => id);
}

/** Which of these on-chain ids are of messages in the archive: all that can happen to them has been seen. */
export async function archivedMessages(from: Queryable, onchainIds: readonly Hex[]): Promise<ReadonlySet<Hex>> {
  if (onchainIds.length === 0) return new Set();
  const rows = await from.query<{ key: Hex }>("SELECT key FROM event_archive_keys WHERE kind = $1 AND key = ANY($2)", [
    kind,
    onchainIds,
  ]);
  return new Set(rows.map(({ key }) => key));
}
