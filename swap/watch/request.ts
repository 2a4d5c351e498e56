import type { WatchtowerConfig } from "#core/config/service.ts";
import type { Db, Tx } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import type { SwapChains } from "../chains.ts";
import { locksById, swapOfLock } from "../locks/queries.ts";
import type { LedgerLock } from "../locks/rows.ts";
import { type WatchEvent, watchIdOf, watchStream } from "./events.ts";
import { isAllowed, requireTip } from "./policy.ts";
import { countCapped } from "./readModel.ts";
import { foldWatch } from "./watch.ts";

type Deps = {
  db: Db;
  store: EventStore;
  chains: SwapChains;
  config: WatchtowerConfig | undefined;
  /** Throws `chain-unknown` or `chain-paused`, and keeps the chains from being removed until the transaction ends. */
  admit?(tx: Tx, chains: readonly string[]): Promise<void>;
  /** The same for locks of our own, which are driven while a chain is paused. */
  admitOwn?(tx: Tx, chains: readonly string[]): Promise<void>;
};

/** For whom a lock is watched: a managed account that it concerns, and whether the refund is its as well. */
export type Concern = { readonly account: string; readonly refunds: boolean };

export type WatchRequester = {
  /**
   * Watches a stranger's lock under the operator's policy. A lock that is watched already stays as it is. Throws
   * `chain-unknown`, `not-found`, `lock-of-swap`, `lock-ended`, `watchtower-off`, `tip-too-low` or `watchtower-full`.
   */
  watch(chain: string, lockId: Hex): Promise<void>;
  /** Watches a lock of a managed account: no policy applies, and its own account pays. */
  recover(chain: string, lockId: Hex, concern: Concern): Promise<void>;
};

/** A change by somebody else between reading and writing; read again this often. */
const conflictAttempts = 5;

export function createWatchRequester(deps: Deps): WatchRequester {
  const { db, store, chains, config } = deps;

  async function openLock(chain: string, lockId: Hex): Promise<LedgerLock> {
    chains.get(chain, "chain");
    const locks = await locksById(db, chain, lockId);
    if (locks.length === 0) {
      throw new LockstepError("not-found", `no lock of ${chain} with this id was seen`, {
        details: { field: "lockId" },
      });
    }
    const swap = await swapOfLock(db, chain, lockId);
    if (swap !== undefined) {
      throw new LockstepError("lock-of-swap", `the lock is a leg of the swap ${swap}, which drives it`, {
        details: { swap },
      });
    }
    const open = locks.find(({ end }) => !end);
    if (open) return open;
    throw new LockstepError(
      "lock-ended",
      `the lock was ${locks[0]?.end?.kind} in block ${locks[0]?.end?.blockNumber}`,
      {
        details: { state: locks[0]?.end?.kind, block: locks[0]?.end?.blockNumber },
      },
    );
  }

  /** Returns without writing when a watch of the lock goes on. */
  async function begin(lock: LedgerLock, concern: Concern | undefined): Promise<void> {
    const stream = watchStream(watchIdOf(lock.chain, lock.id));
    const before = foldWatch(await store.load<WatchEvent>(db, stream));
    if (before && !before.outcome) return;
    if (!concern) await requirePolicy(lock);
    const watched = watchedEvent(lock, chains, concern);
    await db.tx(async (tx) => {
      await (concern ? deps.admitOwn : deps.admit)?.(tx, [lock.chain]);
      if (!concern) requireRoom(await countCapped(tx));
      await store.append(tx, [{ stream, expected: before?.version ?? 0, events: [watched] }]);
    });
  }

  async function requirePolicy({ chain, lock }: LedgerLock): Promise<void> {
    if (!config) throw new LockstepError("watchtower-off", "`swap.watchtower` is not configured");
    if (isAllowed(config, chain, lock)) return;
    requireTip(config, lock, await chains.get(chain).chain.fees());
  }

  function requireRoom(watched: number): void {
    if (!config || watched < config.maxWatched) return;
    const most = config.maxWatched;
    throw new LockstepError("watchtower-full", `${watched} locks of others are watched, of at most ${most}`, {
      details: { watched, most },
    });
  }

  async function tryAgain(work: () => Promise<void>): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!isLockstepError(error, "conflict") || attempt === conflictAttempts) throw error;
      }
    }
  }

  return {
    watch: (chain, lockId) => tryAgain(async () => begin(await openLock(chain, lockId), undefined)),
    recover: (chain, lockId, concern) => tryAgain(async () => begin(await openLock(chain, lockId), concern)),
  };
}

function watchedEvent({ chain, id, lock }: LedgerLock, chains: SwapChains, concern: Concern | undefined): WatchEvent {
  const { timelockContract, chain: access } = chains.get(chain);
  const { sender, recipient, token, amount, hashlock, timelock, tip } = lock.terms;
  return {
    type: "LockWatched",
    data: {
      ...{ chain, chainId: access.chainId, timelockContract, lockId: id, lock: kindOf(lock) },
      ...{ sender, recipient, token, amount, hashlock, timelock, tip },
      refunds: concern?.refunds ?? true,
      ...(concern && { account: concern.account }),
    },
  };
}

type WatchedLock = Extract<WatchEvent, { type: "LockWatched" }>["data"]["lock"];

function kindOf(lock: LedgerLock["lock"]): WatchedLock {
  switch (lock.kind) {
    case "payment":
      return { kind: lock.kind };
    case "item":
      return { kind: lock.kind, tokenId: lock.terms.tokenId };
    case "leaf":
      return { kind: lock.kind, index: lock.index };
  }
}
