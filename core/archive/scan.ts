import type { Queryable } from "../db/db.ts";

/** Events read at a time; of their streams those are looked at that are of the kind. */
const pageSize = 2_000;

/** A stream that has events from long ago, and its newest one. */
export type ScannedStream = { readonly stream: string; readonly version: number; readonly at: Date };

/**
 * The position up to which all events are older than a time; 0 where none is. Times rise with positions as far as the
 * clocks of processes agree.
 */
export async function positionAt(from: Queryable, before: Date): Promise<bigint> {
  const [counter] = await from.query<{ position: bigint }>("SELECT position FROM event_counter");
  let [low, high] = [0n, counter?.position ?? 0n];
  while (low < high) {
    const middle = (low + high) / 2n;
    const [next] = await from.query<{ position: bigint; at: Date }>(
      "SELECT position, at FROM events WHERE position > $1 ORDER BY position LIMIT 1",
      [middle],
    );
    if (!next || next.at >= before) high = middle;
    else low = next.position;
  }
  return low;
}

/** Streams of a kind with an event up to a position, page by page in the order of positions; one may come more than once. */
export async function* oldStreams(from: Queryable, prefix: string, upTo: bigint): AsyncGenerator<ScannedStream[]> {
  for (let after = 0n; ; ) {
    const page = await from.query<{ position: bigint; stream: string }>(
      "SELECT position, stream FROM events WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3",
      [after, upTo, pageSize],
    );
    const streams = [...new Set(page.map(({ stream }) => stream))].filter((stream) => stream.startsWith(prefix));
    if (streams.length > 0) yield newestOf(from, streams);
    const end = page.at(-1);
    if (!end || page.length < pageSize) return;
    after = end.position;
  }
}

async function newestOf(from: Queryable, streams: readonly string[]): Promise<ScannedStream[]> {
  return from.query<ScannedStream>(
    `SELECT wanted.stream, newest.version, newest.at
       FROM unnest($1::text[]) AS wanted (stream)
       CROSS JOIN LATERAL (
         SELECT version, at FROM events WHERE events.stream = wanted.stream ORDER BY version DESC LIMIT 1
       ) AS newest`,
    [streams],
  );
}
