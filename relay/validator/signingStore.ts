import { DatabaseSync } from "node:sqlite";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";

/** The validator's memory of one lane, `origin` and `destination` spelled as chain id and gateway. */
export type SigningLane = { readonly origin: string; readonly destination: string };

export type Link = { readonly nonce: bigint; readonly accumulator: Hex };
export type FinalBlock = { readonly height: bigint; readonly hash: Hex };
type Signed = Link & { readonly generation: number };

/**
 * What a validator must not forget: the accumulators of final blocks and what it signed. Every write is on disk before
 * the call returns (synchronous=FULL), and the file belongs to one process (an exclusive lock).
 */
export type SigningStore = {
  /** Remembers the chain's first block, or throws `chain-replaced` when it is not the one remembered. */
  assertSameChain(origin: string, genesis: Hex): void;
  /** The last final block whose lanes are recorded. */
  cursor(origin: string): FinalBlock | undefined;
  /** The newest accumulator of a lane, undefined for a lane without messages. */
  head(lane: SigningLane): Link | undefined;
  accumulatorAt(lane: SigningLane, nonce: bigint): Hex | undefined;
  /** Adds links to lanes and moves the cursor, all or nothing; `replace` forgets the lanes' links before. */
  record(origin: string, block: FinalBlock, links: ReadonlyMap<SigningLane, readonly Link[]>, replace?: boolean): void;
  /**
   * To be called before a signature is made. Answers the accumulator that is signed for this place: the given one, or
   * the one of an earlier call, in which case nothing may be signed.
   */
  claim(lane: SigningLane, generation: number, link: Link): Hex;
  /**
   * The same for the header of an origin's block: the hash that is signed for its height, the given one or an earlier
   * one. Claims below `oldest` are dropped; no header there may be signed any more.
   */
  claimHeader(lane: SigningLane, generation: number, block: FinalBlock, oldest: bigint): Hex;
  /** The hash that is claimed for a height. */
  claimedHeader(lane: SigningLane, generation: number, height: bigint): Hex | undefined;
  /** The highest header signed for a lane in a generation. */
  newestHeader(lane: SigningLane, generation: number): FinalBlock | undefined;
  /** Everything signed for a lane. */
  signed(lane: SigningLane): Signed[];
  /** Why the validator stopped for good. */
  halted(): string | undefined;
  halt(reason: string): void;
  close(): void;
};

const schema = `
  CREATE TABLE IF NOT EXISTS chains (origin TEXT PRIMARY KEY, genesis TEXT NOT NULL, height INTEGER, hash TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS links (
    origin TEXT NOT NULL, destination TEXT NOT NULL, nonce INTEGER NOT NULL, accumulator TEXT NOT NULL,
    PRIMARY KEY (origin, destination, nonce)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS signed (
    origin TEXT NOT NULL, destination TEXT NOT NULL, generation INTEGER NOT NULL, nonce INTEGER NOT NULL,
    accumulator TEXT NOT NULL, PRIMARY KEY (origin, destination, generation, nonce)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS signed_headers (
    origin TEXT NOT NULL, destination TEXT NOT NULL, generation INTEGER NOT NULL, height INTEGER NOT NULL,
    hash TEXT NOT NULL, PRIMARY KEY (origin, destination, generation, height)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS halt (id INTEGER PRIMARY KEY CHECK (id = 1), reason TEXT NOT NULL) STRICT;
`;

/** Rows come without a prototype. */
const plain = <T extends object>(row: T | undefined): T | undefined => row && { ...row };

/** Opens or creates the file. Throws `data-folder-in-use` while another process has it. */
export function createSigningStore(file: string): SigningStore {
  const db = openExclusively(file);
  const prepare = (sql: string) => {
    const statement = db.prepare(sql);
    statement.setReadBigInts(true);
    return statement;
  };
  const sql = {
    genesis: prepare("SELECT genesis FROM chains WHERE origin = ?"),
    addChain: prepare("INSERT INTO chains (origin, genesis) VALUES (?, ?)"),
    cursor: prepare("SELECT height, hash FROM chains WHERE origin = ? AND height IS NOT NULL"),
    move: prepare("UPDATE chains SET height = ?, hash = ? WHERE origin = ?"),
    head: prepare(
      "SELECT nonce, accumulator FROM links WHERE origin = ? AND destination = ? ORDER BY nonce DESC LIMIT 1",
    ),
    link: prepare("SELECT accumulator FROM links WHERE origin = ? AND destination = ? AND nonce = ?"),
    addLink: prepare("INSERT INTO links (origin, destination, nonce, accumulator) VALUES (?, ?, ?, ?)"),
    forget: prepare("DELETE FROM links WHERE origin = ? AND destination = ?"),
    claim: prepare("INSERT INTO signed VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"),
    claimed: prepare(
      "SELECT accumulator FROM signed WHERE origin = ? AND destination = ? AND generation = ? AND nonce = ?",
    ),
    signed: prepare("SELECT generation, nonce, accumulator FROM signed WHERE origin = ? AND destination = ?"),
    claimHeader: prepare("INSERT INTO signed_headers VALUES (?, ?, ?, ?, ?)"),
    claimedHeader: prepare(
      "SELECT hash FROM signed_headers WHERE origin = ? AND destination = ? AND generation = ? AND height = ?",
    ),
    newestHeader: prepare(
      `SELECT height, hash FROM signed_headers WHERE origin = ? AND destination = ? AND generation = ?
        ORDER BY height DESC LIMIT 1`,
    ),
    dropHeaders: prepare(
      "DELETE FROM signed_headers WHERE origin = ? AND destination = ? AND generation = ? AND height < ?",
    ),
    halted: prepare("SELECT reason FROM halt"),
    halt: prepare("INSERT INTO halt (id, reason) VALUES (1, ?) ON CONFLICT DO NOTHING"),
  };
  const atomically = (work: () => void) => {
    db.exec("BEGIN IMMEDIATE");
    try {
      work();
      db.exec("COMMIT");
    } catch (error) {
      db.exec("ROLLBACK");
      throw error;
    }
  };

  const claimedHeader = ({ origin, destination }: SigningLane, generation: number, height: bigint) =>
    (sql.claimedHeader.get(origin, destination, generation, height) as { hash: Hex } | undefined)?.hash;

  return {
    assertSameChain(origin, genesis) {
      const known = sql.genesis.get(origin) as { genesis: Hex } | undefined;
      if (!known) sql.addChain.run(origin, genesis);
      else if (known.genesis !== genesis) {
        const message = `chain ${origin} begins with block ${genesis}, and signatures were made for ${known.genesis}`;
        throw new LockstepError("chain-replaced", message, { details: { known: known.genesis, found: genesis } });
      }
    },
    cursor: (origin) => plain(sql.cursor.get(origin) as FinalBlock | undefined),
    head: ({ origin, destination }) => plain(sql.head.get(origin, destination) as Link | undefined),
    accumulatorAt: ({ origin, destination }, nonce) =>
      (sql.link.get(origin, destination, nonce) as { accumulator: Hex } | undefined)?.accumulator,
    record: (origin, { height, hash }, links, replace = false) =>
      atomically(() => {
        for (const [lane, added] of links) {
          if (replace) sql.forget.run(lane.origin, lane.destination);
          for (const { nonce, accumulator } of added) {
            sql.addLink.run(lane.origin, lane.destination, nonce, accumulator);
          }
        }
        sql.move.run(height, hash, origin);
      }),
    claim({ origin, destination }, generation, { nonce, accumulator }) {
      const known = sql.claimed.get(origin, destination, generation, nonce) as { accumulator: Hex } | undefined;
      if (known) return known.accumulator;
      sql.claim.run(origin, destination, generation, nonce, accumulator);
      return accumulator;
    },
    claimHeader(lane, generation, { height, hash }, oldest) {
      const { origin, destination } = lane;
      const known = claimedHeader(lane, generation, height);
      if (known) return known;
      atomically(() => {
        sql.claimHeader.run(origin, destination, generation, height, hash);
        sql.dropHeaders.run(origin, destination, generation, oldest);
      });
      return hash;
    },
    claimedHeader,
    newestHeader: ({ origin, destination }, generation) =>
      plain(sql.newestHeader.get(origin, destination, generation) as FinalBlock | undefined),
    signed: ({ origin, destination }) =>
      (sql.signed.all(origin, destination) as { generation: bigint; nonce: bigint; accumulator: Hex }[]).map((row) => ({
        ...row,
        generation: Number(row.generation),
      })),
    halted: () => (sql.halted.get() as { reason: string } | undefined)?.reason,
    halt: (reason) => void sql.halt.run(reason),
    close: () => db.close(),
  };
}

function openExclusively(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: 1_000 });
  try {
    db.exec("PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
    db.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
    return db;
  } catch (error) {
    db.close();
    if (!/locked|busy/i.test(String(error))) throw error;
    throw new LockstepError("data-folder-in-use", `another process has the validator's file ${file} open`);
  }
}
