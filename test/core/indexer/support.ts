import type { Block, ChainAccess, ChainLog } from "#core/chain/chain.ts";
import { createChain } from "#core/chain/createChain.ts";
import type { Migration, Queryable, Tx } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import type { ChainObserver } from "#core/indexer/observer.ts";
import { indexerMigrations } from "#core/indexer/tables.ts";
import { systemClock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type DatabaseBackend, type OpenDatabase, quietLog } from "../../support/databases.ts";

const historyMigrations: readonly Migration[] = [
  {
    id: "history/001-create",
    sql: `CREATE TABLE history (block bigint NOT NULL, hash text NOT NULL, log text NOT NULL, word text NOT NULL,
          PRIMARY KEY (block, log))`,
  },
];

export async function openIndexed(backend: DatabaseBackend): Promise<OpenDatabase> {
  const database = await backend.open();
  await migrate(database.db, [...indexerMigrations, ...historyMigrations]);
  return database;
}

export const accessTo = (
  url: string,
  chainId: number,
  finality: { blocks: number } | "safe" | "finalized",
  timeoutMs = 2_000,
): ChainAccess =>
  createChain(
    { name: "alpha", chainId, endpoints: [url], finality, pollMs: 5 },
    { log: quietLog, clock: systemClock, timeoutMs, retries: 1 },
  );

export type History = ChainObserver & {
  readonly calls: string[];
  /** What it was told that no chain can tell. The indexer would only try again, so tests look here. */
  readonly violations: string[];
  /** Extra failure to throw at the end of an `included`, after everything was written. */
  failNext(error: Error): void;
  /** It has to have these words, of blocks after a height, before it takes any other; throws `logs-missing` till then. */
  miss(after: bigint, words: readonly bigint[]): void;
};

type HistoryOptions = {
  /** Blocks may come after they are final: a node had hidden them. */
  readonly late?: boolean;
  /** How many logs there are up to a block, by the chain's own word; checked against what was told. */
  readonly countUpTo?: (final: bigint) => number;
  /** Where `countUpTo` is compared with what is recorded. */
  readonly db?: Queryable;
};

/**
 * Keeps the logs it is told about in a table of its own, and checks on every call that the story is one that a chain
 * can tell: nothing below a final height moves, blocks rise, and one comes again only with something new
 * or after logs were said to be missing.
 */
export function createHistory(addresses: () => readonly Hex[], options: HistoryOptions = {}): History {
  const calls: string[] = [];
  const violations: string[] = [];
  const check = (holds: boolean, rule: string) => {
    if (!holds) violations.push(rule);
  };
  let failure: Error | undefined;
  let final = -1n;
  let asked = false;
  let missing: { after: bigint; words: readonly bigint[] } | undefined;
  const recordedUpTo = async (height: bigint) => {
    const rows = await options.db?.query<{ count: number }>(
      "SELECT count(*)::integer AS count FROM history WHERE block <= $1",
      [height],
    );
    return rows?.[0]?.count ?? 0;
  };
  const agree = (recorded: number, there: number): boolean => {
    check(recorded <= there, "nothing is told that is not there");
    if (recorded < there) {
      asked = true;
      throw new LockstepError("logs-missing", `${recorded} of ${there} are recorded`);
    }
    return true;
  };
  const late = (number: bigint) => options.late === true || (missing !== undefined && number > missing.after);
  return {
    calls,
    violations,
    failNext: (error) => {
      failure = error;
    },
    miss: (after, words) => {
      missing = { after, words };
    },
    addresses,
    async included(tx, _chain, blocks) {
      const wanted = new Set(addresses().map((address) => address.toLowerCase()));
      let before: Block | undefined;
      for (const { block, logs } of blocks) {
        check(before === undefined || before.number < block.number, "blocks rise");
        check(block.number > final || late(block.number), "nothing is included below a final height");
        check(logs.length > 0 && logs.every((log) => wanted.has(log.address.toLowerCase())), "only what is wanted");
        check(
          logs.every((log) => log.blockHash === block.hash && log.blockNumber === block.number),
          "logs are of their block",
        );
        let fresh = 0;
        for (const log of logs) fresh += await insert(tx, block, log);
        check(fresh > 0 || asked, "a block comes again only with something new, or when it was asked for");
        before = block;
      }
      const rows = missing ? await tx.query<{ word: string }>("SELECT word FROM history") : [];
      const has = new Set(rows.map(({ word }) => word));
      if (missing?.words.some((word) => !has.has(String(word)))) {
        asked = true;
        throw new LockstepError("logs-missing", "words are missing", { details: { after: missing.after } });
      }
      calls.push(`included ${blocks.map(({ block }) => block.number).join(" ")}`);
      if (failure !== undefined) {
        const error = failure;
        failure = undefined;
        throw error;
      }
    },
    async reorged(tx, _chain, ancestor, deep) {
      check(ancestor >= final || deep, "a final block never goes but by an operator's word");
      if (deep) final = ancestor;
      calls.push(`reorged ${ancestor}`);
      await tx.query("DELETE FROM history WHERE block > $1", [ancestor]);
    },
    async finalized(_tx, _chain, height) {
      check(height >= final, "finality never falls");
      final = height;
      calls.push(`finalized ${height}`);
    },
    async check(_chain, height) {
      return options.countUpTo === undefined || agree(await recordedUpTo(height), options.countUpTo(height));
    },
  };
}

/** How many rows that makes: none when it was told before. */
async function insert(tx: Tx, block: Block, log: ChainLog): Promise<number> {
  const rows = await tx.query(
    "INSERT INTO history (block, hash, log, word) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING RETURNING log",
    [block.number, block.hash, `${log.transactionHash}:${log.logIndex}`, BigInt(log.topics[0] ?? "0x0").toString()],
  );
  return rows.length;
}

/** What the table says, in chain order. */
export async function recordedWords(database: OpenDatabase): Promise<string[]> {
  const rows = await database.db.query<{ block: bigint; hash: string; word: string }>(
    "SELECT block, hash, word FROM history ORDER BY block, log",
  );
  return rows.map(({ block, hash, word }) => `${block} ${hash} ${word}`);
}

/** What the chain says, in the same form. */
export async function actualWords(chain: ChainAccess, address: Hex): Promise<string[]> {
  const head = await chain.block("latest");
  const logs = await chain.logs({ fromBlock: 0n, toBlock: head?.number ?? 0n, addresses: [address] });
  const byLog = (log: ChainLog) => `${log.transactionHash}:${log.logIndex}`;
  logs.sort((a, b) =>
    a.blockNumber === b.blockNumber ? (byLog(a) < byLog(b) ? -1 : 1) : a.blockNumber < b.blockNumber ? -1 : 1,
  );
  return logs.map((log) => `${log.blockNumber} ${log.blockHash} ${BigInt(log.topics[0] ?? "0x0")}`);
}
