import {
  endHold,
  endScan,
  type Restore,
  type RestoreHold,
  saveScanned,
  scanAgain,
  scannedHeights,
} from "#core/backup/hold.ts";
import type { KeyStore } from "#core/chain/keys.ts";
import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { HealthCheck } from "#core/http/health.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { isLockstepError, isRetryable, LockstepError } from "#core/kernel/errors.ts";
import type { Live } from "#core/kernel/live.ts";
import { type Loop, startLoop } from "#core/kernel/loop.ts";
import type { Lease } from "#core/lease/lease.ts";
import type { Log } from "#core/observe/log.ts";
import { createAdoption } from "#core/sender/adopt.ts";
import type { CallBuilder } from "#core/sender/sender.ts";
import type { Recovery } from "#swap";
import type { Part } from "../lifecycle.ts";
import type { ChainEntry } from "../registry/registry.ts";
import { readStandings, type Standing, unknownSince } from "./nonces.ts";
import { scanChain } from "./scan.ts";
import { takeStrays } from "./strays.ts";

/** Milliseconds between two looks at what is waited for, and at locks that no swap here knows. */
const lookMs = 500;
const strayMs = 30_000;

/**
 * Brings a service whose database was restored to where the chains are, before it does anything: first it finds out what
 * its accounts did since the backup, then the chains are read, then swaps are told. After that it looks for locks of
 * managed accounts whose swaps were lost, and has them finished.
 */
export type Restoring = Part & {
  readonly check: HealthCheck;
  /** What is waited for, in words; undefined where nothing is held. */
  reason(): Promise<string | undefined>;
};

type Deps = {
  readonly db: Db;
  readonly hold: RestoreHold;
  readonly chains: Live<ChainEntry>;
  readonly keyStore: Pick<KeyStore, "names" | "address">;
  readonly store: EventStore;
  /** Makers of calls that are not stored, by name. */
  readonly builders: Readonly<Record<string, CallBuilder>>;
  readonly swaps: { markRestored(restore: string): Promise<number>; readonly recovery: Recovery };
  /** One process does this. */
  readonly lease: Lease;
  readonly clock: Clock;
  readonly log: Log;
};

export function createRestoring(deps: Deps): Restoring {
  const { db, hold, chains, keyStore, swaps, lease, clock } = deps;
  const log = deps.log.child({ module: "restoring" });
  const adoption = createAdoption({ ...deps, db: lease.db });
  let loop: Loop | undefined;
  let waitsFor: readonly string[] = [];
  let standings: readonly Standing[] | undefined;
  /** They were looked at when an operator had asked for the release. */
  let lookedLast = false;
  let wanted = false;

  const look = (forced: boolean) =>
    readStandings(
      chains.entries().map(([, { access }]) => access),
      keyStore,
      forced,
    );

  async function scan(restore: Restore, signal: AbortSignal): Promise<"idle" | "continue"> {
    const forced = restore.releaseAskedBy !== undefined;
    const now = await look(forced);
    const unsure = now.flatMap((standing) => standing.unsure);
    if (unsure.length > 0 && !forced) return wait(unsure);
    for (const standing of now) {
      if (standing.final < 0n) continue;
      const work = scanOne(restore, standing, forced, signal);
      // It is not known what was done on a chain that falls silent now; who releases knows that.
      await (forced
        ? work.catch((error: unknown) => log.warn({ err: error, chain: standing.chain }, "not looked through"))
        : work);
    }
    const unknown = unknownSince(now, await look(forced));
    if (unknown.length > 0 && !forced) return wait(unknown);
    standings = now;
    lookedLast = forced;
    await lease.db.tx((tx) => endScan(tx, restore.id, new Date(clock.now())));
    log.info({ restore: restore.id }, "everything that the accounts did since the backup is known");
    return "continue";
  }

  /** Where an operator waits for no finality, what is in the newest block counts as done. */
  async function scanOne(
    restore: Restore,
    { chain: name, ...standing }: Standing,
    forced: boolean,
    signal: AbortSignal,
  ) {
    const entry = chains.get(name);
    if (!entry) return;
    const heights = await scannedHeights(db, restore.id);
    const after = heights.get(name) ?? BigInt(entry.settings.startBlock) - 1n;
    const to = forced ? standing.latest : standing.final;
    if (!heights.has(name)) await lease.db.tx((tx) => saveScanned(tx, restore.id, name, after));
    waitsFor = [`what its accounts did on ${name} is looked through, up to block ${to}`];
    const range = { after, to, signal };
    await scanChain({ adoption, keyStore, restore: restore.id }, entry.access, range, (found, height) =>
      log.info({ chain: name, height, ...found }, "blocks since the backup were looked through"),
    );
  }

  async function settle(restore: Restore): Promise<"idle" | "continue"> {
    const forced = restore.releaseAskedBy !== undefined;
    if (!standings || (forced && !lookedLast)) {
      // A process that took this over does not know what was known when they were looked through; before a release all
      // that the chains show by then is to be known.
      await lease.db.tx((tx) => scanAgain(tx, restore.id));
      return "continue";
    }
    const behind = forced ? [] : await chainsBehind(db, standings);
    if (behind.length > 0) return wait(behind);
    const unknown = unknownSince(standings, await look(forced));
    if (unknown.length > 0 && !forced) {
      standings = undefined;
      await lease.db.tx((tx) => scanAgain(tx, restore.id));
      return wait(unknown);
    }
    if (restore.stays && !forced) return wait(["an operator has to release it, as was asked for at the restore"]);
    const marked = await swaps.markRestored(restore.id);
    await lease.db.tx((tx) => endHold(tx, restore.id, new Date(clock.now())));
    waitsFor = [];
    log.warn(
      { restore: restore.id, swaps: marked, released_by: restore.releaseAskedBy },
      "at one with the chains again",
    );
    return "continue";
  }

  function wait(reasons: readonly string[]): "idle" {
    if (reasons.join() !== waitsFor.join()) log.warn({ reasons }, "nothing is sent after the restore yet");
    waitsFor = reasons;
    return "idle";
  }

  async function step(signal: AbortSignal) {
    if (!lease.isHeld()) return "idle" as const;
    const restore = await hold.last();
    if (!restore) return "fatal" as const;
    if (!restore.endedAt) return restore.scannedAt ? settle(restore) : scan(restore, signal);
    const taken = await takeStrays(swaps.recovery, (error, lock) =>
      log.warn(
        { err: error, chain: lock.chain, lock: lock.lockId },
        "a lock whose swap was lost could not be taken on",
      ),
    );
    if (taken > 0) log.warn({ locks: taken }, "locks whose swaps were lost are driven to their end");
    await clock.sleep(strayMs - lookMs, signal);
    return "idle" as const;
  }

  const work = {
    start() {
      loop ??= startLoop({
        step: (signal) => step(signal).catch(tryAgain),
        clock,
        idleMs: lookMs,
        backoff: { firstMs: lookMs, maxMs: 5_000 },
        onError(error, { failures }) {
          waitsFor = [isLockstepError(error) ? error.message : "a chain or the database does not answer"];
          log.warn({ err: error, failures }, "the state after the restore could not be looked at");
        },
      });
    },
    async stop() {
      await loop?.stop();
      loop = undefined;
      standings = undefined;
    },
  };

  async function reason(): Promise<string | undefined> {
    const restore = await hold.last();
    if (!restore || restore.endedAt) return undefined;
    const why = waitsFor.length > 0 ? waitsFor.join("; ") : "the process that brings it up to date has not begun";
    return `restored from a backup of ${restore.takenAt.toISOString()}, nothing is sent yet: ${why}`;
  }

  return {
    reason,
    check: { name: "restore", check: reason },
    async start() {
      if ((await hold.last()) === undefined) return;
      wanted = true;
      lease.contend(work);
    },
    async stop() {
      if (wanted) await lease.leave();
    },
  };
}

/** Whatever is wrong has to be tried again: everything else waits for this. */
function tryAgain(error: unknown): never {
  if (!isLockstepError(error) || isRetryable(error)) throw error;
  throw new LockstepError("internal", error.message, { cause: error });
}

/** Chains that the indexers have not read as far as was looked, in words. */
async function chainsBehind(db: Db, standings: readonly Standing[]): Promise<string[]> {
  const rows = await db.query<{ chain: string; final: bigint; tip: bigint }>(
    `SELECT chain, final, (SELECT max(number) FROM indexer_block b WHERE b.chain = c.chain) AS tip
     FROM indexer_checkpoint c`,
  );
  const read = new Map(rows.map((row) => [row.chain, row]));
  return standings.flatMap(({ chain, final, latest }) => {
    const own = read.get(chain);
    if (own && own.final >= final && own.tip >= latest) return [];
    return [`${chain} is read up to block ${own?.tip ?? "none"} of ${latest}`];
  });
}
