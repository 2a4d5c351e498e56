import type { Migration, Queryable, Tx } from "#core/db/db.ts";
import type { Append } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type MessageEvent, messageStream } from "./events.ts";
import type { Lane } from "./lane.ts";
import { lockOrphans } from "./orphans.ts";
import type { Realigned } from "./protocol/realigned.ts";
import { unexecutedRowsUpTo } from "./readModel.ts";

/** What a destination showed of a realignment, with the lane it is about and its block's time (Unix seconds). */
export type RealignedFact = Realigned & { readonly lane: Lane; readonly at: bigint };

export const reorganisationMigrations: readonly Migration[] = [
  {
    id: "relay/011-reorganisations",
    sql: `
      ALTER TABLE relay_messages ADD COLUMN outcome_id text;
      CREATE TABLE relay_realignments (
        origin text NOT NULL, chain text NOT NULL, generation bigint NOT NULL, nonce bigint NOT NULL,
        retryable text NOT NULL, transaction_hash text NOT NULL, block_number bigint NOT NULL, block_hash text NOT NULL,
        at bigint NOT NULL, PRIMARY KEY (chain, origin, generation)
      );
    `,
  },
];

type Realignment = Omit<Extract<MessageEvent, { type: "MessageSkipped" }>["data"], "retryable" | "origin"> & {
  readonly nonce: bigint;
  readonly retryableIds: ReadonlySet<Hex>;
};

/**
 * Keeps realignments, and says of the messages that they jump over that no delivery will bring them, and of those that
 * had failed before whether they may still run. Messages that their origin shows later are told by `skippedEvents`.
 */
export async function appendsOfRealigned(tx: Tx, chain: string, facts: readonly RealignedFact[]): Promise<Append[]> {
  if (facts.length === 0) return [];
  await lockOrphans(tx, "exclusive");
  /** By message: two realignments may be shown at once, and jump over the same ones. */
  const told = new Map<string, Append & { events: MessageEvent[] }>();
  for (const fact of facts) {
    const { transactionHash, blockNumber, blockHash } = fact.log;
    const [isNew] = await tx.query(
      `INSERT INTO relay_realignments
         (origin, chain, generation, nonce, retryable, transaction_hash, block_number, block_hash, at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING RETURNING 1`,
      [
        ...[fact.lane.origin, chain, fact.generation, fact.nonce, fact.retryableIds.join(",")],
        ...[transactionHash, blockNumber, blockHash, fact.at],
      ],
    );
    // Blocks may be shown twice.
    if (!isNew) continue;
    const seen = { transactionHash, blockNumber, blockHash, at: fact.at };
    const skip: Realignment = {
      ...{ ...seen, destination: chain, generation: fact.generation, nonce: fact.nonce },
      retryableIds: new Set(fact.retryableIds),
    };
    for (const { id, version, progress } of await unexecutedRowsUpTo(tx, fact.lane, fact.nonce)) {
      if (!progress.sent) continue;
      const append = told.get(id) ?? { stream: messageStream(id), expected: version, events: [] };
      append.events.push(skippedEvent(fact.lane, progress.sent.onchainId, skip));
      told.set(id, append);
    }
  }
  return [...told.values()];
}

type Skip = Extract<MessageEvent, { type: "MessageSkipped" }>;

/**
 * Which of the messages that a lane shows now were jumped over before they were seen; as events, by on-chain id. The
 * newest realignment says what may still run.
 */
export async function skippedEvents(
  tx: Tx,
  origin: string,
  messages: readonly { readonly id: Hex; readonly nonce: bigint; readonly lane: Lane }[],
): Promise<Map<Hex, Skip>> {
  const rows = await tx.query<{
    chain: string;
    generation: bigint;
    nonce: bigint;
    retryable: string;
    transaction_hash: Hex;
    block_number: bigint;
    block_hash: Hex;
    at: bigint;
  }>("SELECT * FROM relay_realignments WHERE origin = $1 ORDER BY generation", [origin]);
  const all = rows.map(
    (row): Realignment => ({
      ...{ destination: row.chain, generation: row.generation, nonce: row.nonce, at: row.at },
      ...{ transactionHash: row.transaction_hash, blockNumber: row.block_number, blockHash: row.block_hash },
      retryableIds: new Set(row.retryable.split(",") as Hex[]),
    }),
  );
  return new Map(
    messages.flatMap(({ id, nonce, lane }) => {
      const skip = all.findLast((each) => each.destination === lane.destination && nonce <= each.nonce);
      return skip ? [[id, skippedEvent(lane, id, skip)] as const] : [];
    }),
  );
}

export async function dropRealignments(to: Queryable, chain: string, above: bigint): Promise<void> {
  await to.query("DELETE FROM relay_realignments WHERE chain = $1 AND block_number > $2", [chain, above]);
}

function skippedEvent({ origin, destination }: Lane, id: Hex, skip: Realignment): Skip {
  const { generation, transactionHash, blockNumber, blockHash, at } = skip;
  const retryable = skip.retryableIds.has(id);
  const data = { origin, destination, generation, retryable, transactionHash, blockNumber, blockHash, at };
  return { type: "MessageSkipped", data };
}
