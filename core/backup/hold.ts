import type { Db, Queryable } from "../db/db.ts";
import type { Clock } from "../kernel/clock.ts";

/** A restore, and how far the service is with what it has to do before it may send again. */
export type Restore = {
  readonly id: string;
  readonly backup: string;
  readonly takenAt: Date;
  readonly restoredAt: Date;
  /** Of the last event that the backup had, and the one after which new ones came. */
  readonly position: bigint;
  readonly resumesAfter: bigint;
  /** Ends only when an operator says so. */
  readonly stays: boolean;
  /** What managed accounts did since the backup has been looked through. */
  readonly scannedAt: Date | undefined;
  readonly releaseAskedBy: string | undefined;
  /** Undefined while nothing is sent. */
  readonly endedAt: Date | undefined;
};

/** Whether the service may do anything yet, after its database was restored. */
export type RestoreHold = {
  /** True while nothing may be decided or sent. Throws when the database does not say. */
  isHeld(): Promise<boolean>;
  /** True while no chain may be read: whose transactions they are has to be known before. */
  isUnscanned(): Promise<boolean>;
  /** The last restore; undefined where there was none. */
  last(): Promise<Restore | undefined>;
  /** Ends the hold whatever the chains say; false when there is none. */
  release(by: string): Promise<boolean>;
  /** Positions that were given out by a database that is lost, the one that holds `position`. */
  lostAt(position: bigint): Promise<Restore | undefined>;
};

/** How old an answer may be that a hold goes on, in milliseconds. */
const freshMs = 200;

type Row = Omit<Restore, "scannedAt" | "releaseAskedBy" | "endedAt"> & {
  scannedAt: Date | null;
  releaseAskedBy: string | null;
  endedAt: Date | null;
};

const columns = `id, backup, taken_at AS "takenAt", restored_at AS "restoredAt", position, resumes_after AS "resumesAfter",
  stays, scanned_at AS "scannedAt", release_asked_by AS "releaseAskedBy", ended_at AS "endedAt"`;

/** A restore fills an empty database, so once there is no hold, none comes while this process runs. */
export function createRestoreHold({ db, clock }: { db: Db; clock: Clock }): RestoreHold {
  let over = false;
  let seen: { readonly at: number; readonly last: Promise<Restore | undefined> } | undefined;

  async function current(): Promise<Restore | undefined> {
    if (over) return undefined;
    if (!seen || clock.now() - seen.at >= freshMs) {
      const last = readLast(db);
      seen = { at: clock.now(), last };
      last.catch(() => {
        seen = undefined;
      });
    }
    const last = await seen.last;
    if (last && !last.endedAt) return last;
    over = true;
    return undefined;
  }

  return {
    isHeld: async () => (await current()) !== undefined,
    async isUnscanned() {
      const now = await current();
      return now !== undefined && now.scannedAt === undefined;
    },
    last: () => readLast(db),
    async release(by) {
      const rows = await db.query(
        `UPDATE restores SET release_asked_by = coalesce(release_asked_by, $1)
         WHERE ended_at IS NULL AND place = (SELECT max(place) FROM restores) RETURNING id`,
        [by],
      );
      return rows.length > 0;
    },
    async lostAt(position) {
      const sql = `SELECT ${columns} FROM restores WHERE position < $1 AND resumes_after >= $1 ORDER BY place DESC LIMIT 1`;
      const [row] = await db.query<Row>(sql, [position]);
      return row && restoreOf(row);
    },
  };
}

/** Whether the service may do nothing yet, as a transaction sees it. */
export async function isHeldIn(tx: Queryable): Promise<boolean> {
  const last = await readLast(tx);
  return last !== undefined && last.endedAt === undefined;
}

async function readLast(from: Queryable): Promise<Restore | undefined> {
  const [row] = await from.query<Row>(`SELECT ${columns} FROM restores ORDER BY place DESC LIMIT 1`);
  return row && restoreOf(row);
}

const restoreOf = ({ scannedAt, releaseAskedBy, endedAt, ...row }: Row): Restore => ({
  ...row,
  scannedAt: scannedAt ?? undefined,
  releaseAskedBy: releaseAskedBy ?? undefined,
  endedAt: endedAt ?? undefined,
});

/** Up to which heights blocks were looked through; chains that were never read are absent. */
export async function scannedHeights(from: Queryable, restore: string): Promise<ReadonlyMap<string, bigint>> {
  const rows = await from.query<{ chain: string; height: bigint }>(
    "SELECT chain, height FROM restore_chains WHERE restore = $1",
    [restore],
  );
  return new Map(rows.map(({ chain, height }) => [chain, height]));
}

export async function saveScanned(to: Queryable, restore: string, chain: string, height: bigint): Promise<void> {
  await to.query(
    `INSERT INTO restore_chains (restore, chain, height) VALUES ($1, $2, $3)
     ON CONFLICT (restore, chain) DO UPDATE SET height = excluded.height`,
    [restore, chain, height],
  );
}

/** All chains were looked through: they may be read from now on. */
export async function endScan(to: Queryable, restore: string, at: Date): Promise<void> {
  await to.query("UPDATE restores SET scanned_at = coalesce(scanned_at, $2) WHERE id = $1", [restore, at]);
}

/** Has all chains looked through once more, from where they have come to. */
export async function scanAgain(to: Queryable, restore: string): Promise<void> {
  await to.query("UPDATE restores SET scanned_at = NULL WHERE id = $1", [restore]);
}

/** From now on the service does everything again. */
export async function endHold(to: Queryable, restore: string, at: Date): Promise<void> {
  await to.query("UPDATE restores SET ended_at = coalesce(ended_at, $2) WHERE id = $1", [restore, at]);
}
