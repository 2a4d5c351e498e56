import type { Db } from "../db/db.ts";
import type { Clock } from "../kernel/clock.ts";
import { LockstepError } from "../kernel/errors.ts";
import { type Loop, startLoop } from "../kernel/loop.ts";
import type { Log } from "../observe/log.ts";
import { type Contender, createContender } from "./contender.ts";
import type { Peer } from "./instances.ts";
import type { Leases } from "./lease.ts";
import { shareOf } from "./share.ts";
import {
  dropOldTerms,
  type Fence,
  giveUpLease,
  type LeaseRow,
  leasesChannel,
  listLeases,
  renewLeases,
  takeLeases,
} from "./tables.ts";

/** Renewals while a lease lasts: one may be lost, and another late. */
const renewals = 4;
const keptTermDays = 30;
const dropTermsMs = 3_600_000;

export type KeeperDeps = {
  readonly db: Db;
  /** This process, for as long as it runs. */
  readonly instance: string;
  /** How long a lease lasts that nobody renews, in milliseconds. */
  readonly ms: number;
  /** Tells that this process is there and which groups of leases it wants, and answers who else is, itself included. */
  rollCall(groups: readonly string[]): Promise<readonly Peer[]>;
  readonly clock: Clock;
  readonly log: Log;
};

export type LeaseKeeper = Leases & {
  start(): Promise<void>;
  /** Stops all work that goes by a lease, and gives the leases up. */
  stop(): Promise<void>;
  /** Gives all leases up and takes no more, while `stop` is still to come. */
  drain(): Promise<void>;
  /** Those of this process, with their terms. */
  held(): readonly Fence[];
  /** Whether it has asked at least once for what it wants. */
  hasAsked(): boolean;
  /** Leases won, and lost to others, since the start. */
  counts(): { readonly won: number; readonly lost: number };
};

/** What a lease belongs to: leases of one group are shared evenly. */
const groupOf = (name: string): string => name.split("/", 1)[0] ?? name;

/**
 * Keeps the leases of one process: renews those that it has, takes those that nobody has, and gives one up for a process
 * that has far fewer. Work on a lease has always ended before the same process begins it in another term.
 */
export function createLeases(deps: KeeperDeps): LeaseKeeper {
  const { db, instance, ms, clock, log } = deps;
  const contenders = new Map<string, Contender>();
  let loop: Loop | undefined;
  let unlisten: (() => Promise<void>) | undefined;
  let draining = false;
  let asked = false;
  let won = 0;
  let lost = 0;
  let droppedAt = Number.NEGATIVE_INFINITY;

  const held = () => [...contenders.values()].flatMap((each) => each.fence() ?? []);

  async function renew(): Promise<void> {
    const fences = held();
    if (fences.length === 0) return;
    const kept = new Set(await renewLeases(db, { fences, holder: instance, ms }));
    for (const contender of contenders.values()) {
      const fence = contender.fence();
      if (fence === undefined || !fences.includes(fence) || kept.has(fence.name)) continue;
      lost++;
      contender.lose();
    }
  }

  async function share(): Promise<void> {
    const wanted = draining ? [] : [...contenders.values()].filter((each) => each.wantsSince() !== undefined);
    const groups = Map.groupBy(wanted, ({ name }) => groupOf(name));
    // What still ends here cannot be taken here: others are not to leave it to this process.
    const open = [...groups].filter(([, members]) => members.every((each) => each.isHeld() || !each.isBusy()));
    const peers = await deps.rollCall(open.map(([group]) => group));
    if (groups.size === 0) return;
    const slow = new Set(peers.filter((peer) => peer.slow).map(({ id }) => id));
    const rows = new Map((await listLeases(db)).map((row) => [row.name, row]));
    for (const [group, members] of groups) {
      const holders = new Map(peers.filter((peer) => peer.groups.includes(group)).map(({ id }) => [id, 0]));
      await shareGroup(members, rows, holders, slow);
    }
  }

  async function shareGroup(
    members: readonly Contender[],
    rows: ReadonlyMap<string, LeaseRow>,
    holders: Map<string, number>,
    slow: ReadonlySet<string>,
  ): Promise<void> {
    for (const { name } of members) {
      const holder = rows.get(name)?.holder ?? "";
      const count = holders.get(holder);
      if (count !== undefined) holders.set(holder, count + 1);
    }
    // One that has run out is still its own as long as nobody took it.
    holders.set(instance, members.filter((each) => each.isHeld()).length);
    const free = members.filter(
      (each) => !each.isHeld() && !each.isBusy() && rows.get(each.name)?.holder === undefined,
    );
    const { take, give } = shareOf(instance, holders, members.length, slow);
    // Those that nobody has taken for as long again are taken by anyone: they may be the share of a process that hangs.
    const left = free.filter((each) => freeFor(each, rows.get(each.name)) > ms);
    const names = [...new Set([...free.slice(0, take), ...left])].map(({ name }) => name);
    if (names.length > 0) await takeAll(names);
    // Not waited for: work may take its time to end, and the others have to be renewed meanwhile.
    else if (give && !members.some((each) => each.isBusy())) void members.find((each) => each.isHeld())?.giveUp();
  }

  const freeFor = (contender: Contender, row: LeaseRow | undefined): number =>
    row?.freeMs ?? clock.now() - (contender.wantsSince() ?? 0);

  async function takeAll(names: readonly string[]): Promise<void> {
    for (const fence of await takeLeases(db, { names, holder: instance, ms })) {
      const contender = contenders.get(fence.name);
      // An answer that came late may be of a hold that is over: then there is nothing to give up.
      const isWanted = !draining && contender?.wantsSince() !== undefined && !contender.isHeld();
      if (!isWanted) await giveUpLease(db, fence, instance);
      else {
        won++;
        contender.win(fence);
      }
    }
  }

  /** A connection that has gone without a word must not keep a process from renewing on another. */
  async function inTime(work: Promise<void>): Promise<void> {
    const over = new AbortController();
    const late = clock.sleep(ms, over.signal).then(() => {
      if (!over.signal.aborted) throw new LockstepError("database-unreachable", "the database did not answer in time");
    });
    await Promise.race([work, late]).finally(() => over.abort());
  }

  async function step(): Promise<"idle"> {
    await inTime(renew());
    await inTime(share());
    asked = true;
    if (clock.now() - droppedAt >= dropTermsMs) {
      droppedAt = clock.now();
      await dropOldTerms(db, keptTermDays);
    }
    return "idle";
  }

  function changed(contender: Contender): void {
    if (contender.wantsSince() !== undefined) {
      contenders.set(contender.name, contender);
      loop?.wake();
    } else if (contenders.get(contender.name) === contender) contenders.delete(contender.name);
  }

  async function drain(): Promise<void> {
    draining = true;
    await Promise.all([...contenders.values()].map((each) => each.giveUp()));
  }

  return {
    of: (name) => createContender(name, { db, instance, now: clock.now, changed, log }),
    async start() {
      if (loop) return;
      const started = startLoop({
        step,
        clock,
        idleMs: ms / renewals,
        backoff: { firstMs: 50, maxMs: ms / renewals },
        onError: (error, { failures }) => log.warn({ err: error, failures }, "leases cannot be renewed, trying again"),
      });
      loop = started;
      unlisten = await db.listen(leasesChannel, () => started.wake());
    },
    async stop() {
      await drain();
      await unlisten?.();
      await loop?.stop();
    },
    drain,
    held,
    hasAsked: () => asked,
    counts: () => ({ won, lost }),
  };
}
