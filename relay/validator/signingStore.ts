import { DatabaseSync } from "node:sqlite";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";

/** The validator's memory of one lane, `origin` and `destination` spelled as chain id and gateway. */
export type SigningLane = { readonly origin: string; readonly destination: string };

export type Link = { readonly nonce: bigint; readonly accumulator: Hex };
export type FinalBlock = { readonly height: bigint; readonly hash: Hex };

/**
 * What a validator must not forget: the accumulators of final blocks and what it signed. Every write is on disk before
 * the call returns (synchronous=FULL), and the file belongs to one process (an exclusive lock).
 */
export type SigningStore = {
  /** Remembers whose signatures these are, or throws `config-invalid` when they are another key's. */
  assertSameSigner(address: Hex): void;
  /** Remembers the chain's first block, or throws `chain-replaced` when it is not the one remembered. */
  assertSameChain(origin: string, genesis: Hex): void;
  /** The last final block whose lanes are recorded; undefined when the history is to be followed from its start. */
  cursor(origin: string): FinalBlock | undefined;
  /** The highest final block that was ever recorded. */
  reached(origin: string): bigint | undefined;
  /** The newest accumulator of a lane, undefined for a lane without messages. */
  head(lane: SigningLane): Link | undefined;
  accumulatorAt(lane: SigningLane, nonce: bigint): Hex | undefined;
  /** Sets links of an origin's lane aside: what they lead to is not known to be right yet. */
  draft(lane: SigningLane, links: readonly Link[]): void;
  dropDrafts(origin: string): void;
  /**
   * Adds what was set aside to the lanes and moves the cursor, all or nothing. With `replace` the drafts are all that is
   * left of the origin's lanes.
   */
  record(origin: string, block: FinalBlock, replace?: boolean): void;
  /**
   * Moves the cursor over blocks in which the origin's lanes stayed as they are, for this process alone: a later one
   * begins where it was recorded last, and finds the same lanes there.
   */
  pass(origin: string, block: FinalBlock): void;
  /**
   * What was signed for a lane in a generation and the drafts, taken as the whole history, do not have so; the lowest.
   */
  contradiction(lane: SigningLane, generation: number): (Link & { readonly drafted: Hex | undefined }) | undefined;
  /**
   * To be called before a signature is made. Answers the accumulator that is signed for this place: the given one, or
   * the one of an earlier call, in which case nothing may be signed. Throws `validator-halted` after a halt.
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
  /** The newest generation in which anything was signed for a lane. */
  newestGeneration(lane: SigningLane): number | undefined;
  /** The highest nonce signed for a lane in a generation. */
  newestSigned(lane: SigningLane, generation: number): Link | undefined;
  /** Why the validator stopped for good. */
  halted(): string | undefined;
  halt(reason: string): void;
  /** Forgets the history that was followed, so that nothing of it is signed any more; what was signed stays. */
  forget(origin: string): void;
  /** Takes a halt back and forgets every history, so that it is seen anew whether what was signed is right. */
  resume(): void;
  close(): void;
};

const schema = `
  CREATE TABLE IF NOT EXISTS chains (origin TEXT PRIMARY KEY, genesis TEXT NOT NULL, height INTEGER, hash TEXT) STRICT;
  CREATE TABLE IF NOT EXISTS links (
    origin TEXT NOT NULL, destination TEXT NOT NULL, nonce INTEGER NOT NULL, accumulator TEXT NOT NULL,
    PRIMARY KEY (origin, destination, nonce)
  ) STRICT, WITHOUT ROWID;
  DROP TABLE IF EXISTS main.drafts; -- where earlier versions had them
  -- What a look sets aside is of no use after it, so it is not worth a wait for the disk.
  CREATE TEMP TABLE drafts (
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
  CREATE TABLE IF NOT EXISTS signer (id INTEGER PRIMARY KEY CHECK (id = 1), address TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS halt (id INTEGER PRIMARY KEY CHECK (id = 1), reason TEXT NOT NULL) STRICT;
`;

/** Rows come without a prototype. */
const plain = <T extends object>(row: T | undefined): T | undefined => row && { ...row };

/** Opens or creates the file. Throws `data-folder-in-use` while another process has it. */
export function createSigningStore(file: string): SigningStore {
  const db = openExclusively(file);
  const sql = prepareAll(db);
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

  /** Cursors that are further than the file says. */
  const passed = new Map<string, FinalBlock>();
  const writePassed = () => {
    for (const [origin, { height, hash }] of passed) sql.move.run(height, hash, origin);
    passed.clear();
  };

  const claimedHeader = ({ origin, destination }: SigningLane, generation: number, height: bigint) =>
    (sql.claimedHeader.get(origin, destination, generation, height) as { hash: Hex } | undefined)?.hash;

  const halted = () => (sql.halted.get() as { reason: string } | undefined)?.reason;
  const assertNotHalted = () => {
    const reason = halted();
    if (reason !== undefined) throw new LockstepError("validator-halted", reason);
  };

  return {
    assertSameSigner(address) {
      sql.addSigner.run(address);
      const known = sql.signer.get() as { address: Hex };
      if (known.address === address) return;
      const message = `key: it is that of ${address}, and ${file} holds what ${known.address} signed; a new key needs a storeFile of its own`;
      throw new LockstepError("config-invalid", message, {
        details: { field: "key", known: known.address, found: address },
      });
    },
    assertSameChain(origin, genesis) {
      const known = sql.genesis.get(origin) as { genesis: Hex } | undefined;
      if (!known) sql.addChain.run(origin, genesis);
      else if (known.genesis !== genesis) {
        const message = `chain ${origin} begins with block ${genesis}, and signatures were made for ${known.genesis}`;
        throw new LockstepError("chain-replaced", message, { details: { known: known.genesis, found: genesis } });
      }
    },
    cursor: (origin) => passed.get(origin) ?? plain(sql.cursor.get(origin) as FinalBlock | undefined),
    reached: (origin) =>
      passed.get(origin)?.height ??
      (sql.reached.get(origin) as { height: bigint | null } | undefined)?.height ??
      undefined,
    head: ({ origin, destination }) => plain(sql.head.get(origin, destination) as Link | undefined),
    accumulatorAt: ({ origin, destination }, nonce) =>
      (sql.link.get(origin, destination, nonce) as { accumulator: Hex } | undefined)?.accumulator,
    draft: ({ origin, destination }, links) =>
      atomically(() => {
        for (const { nonce, accumulator } of links) sql.addDraft.run(origin, destination, nonce, accumulator);
      }),
    dropDrafts: (origin) => void sql.dropDrafts.run(origin),
    record(origin, { height, hash }, replace = false) {
      atomically(() => {
        if (replace) sql.forget.run(origin);
        sql.promote.run(origin);
        sql.dropDrafts.run(origin);
        sql.move.run(height, hash, origin);
      });
      passed.delete(origin);
    },
    pass: (origin, block) => void passed.set(origin, block),
    contradiction({ origin, destination }, generation) {
      const row = sql.contradiction.get(origin, destination, generation);
      const found = plain(row as (Link & { drafted: Hex | null }) | undefined);
      return found && { ...found, drafted: found.drafted ?? undefined };
    },
    claim({ origin, destination }, generation, { nonce, accumulator }) {
      assertNotHalted();
      const known = sql.claimed.get(origin, destination, generation, nonce) as { accumulator: Hex } | undefined;
      if (known) return known.accumulator;
      sql.claim.run(origin, destination, generation, nonce, accumulator);
      return accumulator;
    },
    claimHeader(lane, generation, { height, hash }, oldest) {
      assertNotHalted();
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
    newestGeneration({ origin, destination }) {
      const { newest } = sql.newestGeneration.get(origin, destination) as { newest: bigint | null };
      return newest === null ? undefined : Number(newest);
    },
    newestSigned: ({ origin, destination }, generation) =>
      plain(sql.newestSigned.get(origin, destination, generation) as Link | undefined),
    halted,
    halt: (reason) => void sql.halt.run(reason),
    forget: (origin) =>
      atomically(() => {
        writePassed();
        sql.forget.run(origin);
        sql.unfollow.run(origin);
      }),
    resume: () =>
      atomically(() => {
        writePassed();
        db.exec("DELETE FROM halt; DELETE FROM links; UPDATE chains SET hash = NULL");
      }),
    close() {
      atomically(writePassed);
      db.close();
    },
  };
}

function prepareAll(db: DatabaseSync) {
  const prepare = (sql: string) => {
    const statement = db.prepare(sql);
    statement.setReadBigInts(true);
    return statement;
  };
  return {
    genesis: prepare("SELECT genesis FROM chains WHERE origin = ?"),
    addChain: prepare("INSERT INTO chains (origin, genesis) VALUES (?, ?)"),
    cursor: prepare("SELECT height, hash FROM chains WHERE origin = ? AND hash IS NOT NULL"),
    reached: prepare("SELECT height FROM chains WHERE origin = ?"),
    unfollow: prepare("UPDATE chains SET hash = NULL WHERE origin = ?"),
    move: prepare("UPDATE chains SET height = ?, hash = ? WHERE origin = ?"),
    head: prepare(
      "SELECT nonce, accumulator FROM links WHERE origin = ? AND destination = ? ORDER BY nonce DESC LIMIT 1",
    ),
    link: prepare("SELECT accumulator FROM links WHERE origin = ? AND destination = ? AND nonce = ?"),
    addDraft: prepare("INSERT INTO drafts VALUES (?, ?, ?, ?)"),
    dropDrafts: prepare("DELETE FROM drafts WHERE origin = ?"),
    promote: prepare("INSERT INTO links SELECT * FROM drafts WHERE origin = ?"),
    forget: prepare("DELETE FROM links WHERE origin = ?"),
    contradiction: prepare(
      `SELECT s.nonce, s.accumulator, d.accumulator AS drafted FROM signed AS s
         LEFT JOIN drafts AS d ON d.origin = s.origin AND d.destination = s.destination AND d.nonce = s.nonce
        WHERE s.origin = ? AND s.destination = ? AND s.generation = ? AND d.accumulator IS NOT s.accumulator
        ORDER BY s.nonce LIMIT 1`,
    ),
    newestGeneration: prepare(
      `SELECT max(generation) AS newest FROM (
         SELECT max(generation) AS generation FROM signed WHERE origin = ?1 AND destination = ?2
         UNION SELECT max(generation) FROM signed_headers WHERE origin = ?1 AND destination = ?2)`,
    ),
    newestSigned: prepare(
      `SELECT nonce, accumulator FROM signed WHERE origin = ? AND destination = ? AND generation = ?
        ORDER BY nonce DESC LIMIT 1`,
    ),
    claim: prepare("INSERT INTO signed VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"),
    claimed: prepare(
      "SELECT accumulator FROM signed WHERE origin = ? AND destination = ? AND generation = ? AND nonce = ?",
    ),
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
    addSigner: prepare("INSERT INTO signer (id, address) VALUES (1, ?) ON CONFLICT DO NOTHING"),
    signer: prepare("SELECT address FROM signer"),
    halted: prepare("SELECT reason FROM halt"),
    halt: prepare("INSERT INTO halt (id, reason) VALUES (1, ?) ON CONFLICT DO NOTHING"),
  };
}

function openExclusively(file: string): DatabaseSync {
  const db = new DatabaseSync(file, { timeout: 1_000 });
  try {
    db.exec(
      "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA temp_store = FILE;",
    );
    db.exec(`BEGIN IMMEDIATE; ${schema} COMMIT;`);
    return db;
  } catch (error) {
    db.close();
    if (!/locked|busy/i.test(String(error))) throw error;
    throw new LockstepError("data-folder-in-use", `another process has the validator's file ${file} open`);
  }
}
