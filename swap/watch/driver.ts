import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Log } from "#core/observe/log.ts";
import type { Tracer } from "#core/observe/tracing.ts";
import type { Sender } from "#core/sender/sender.ts";
import { createAdvance } from "../advance.ts";
import type { SwapChain, SwapChains } from "../chains.ts";
import { leavesOf, locksById, publishedSecret } from "../locks/queries.ts";
import type { LedgerLock } from "../locks/rows.ts";
import { decodeIsLeafOpen, encodeOpenLeaves } from "../protocol/closing.ts";
import { batchId } from "../protocol/lockId.ts";
import { decodeIsOpen, encodeIsOpen } from "../protocol/timelock.ts";
import { type WatchEvent, watchStream } from "./events.ts";
import { watchIntent } from "./intents.ts";
import { nextStep, retrySeconds, type WatchTimes } from "./nextStep.ts";
import type { Looked, WatchIndex } from "./readModel.ts";
import { sightOf, timesOf } from "./sight.ts";
import { foldWatch, type Watch } from "./watch.ts";

export type WatchDriver = {
  /** Takes the one next step of a watch. Idempotent; safe to call at any time. Throws `not-found` for an unknown one. */
  advance(watchId: string): Promise<void>;
};

type Deps = {
  db: Db;
  store: EventStore;
  sender: Sender;
  chains: SwapChains;
  index: WatchIndex;
  /** The account that pays for strangers' locks; none where the watchtower is off. */
  account: string | undefined;
  /** While true nothing is decided: what is stored is behind the chains. */
  isHeld?(): Promise<boolean>;
  clock: Clock;
  log: Log;
  /** Tells of work while it is done. */
  tracer: Tracer;
};

/** What waits for the configuration is looked at again after this time. */
const offSeconds = 30n;

export function createWatchDriver(deps: Deps): WatchDriver {
  const { db, store, chains, index } = deps;

  async function once(watchId: string): Promise<void> {
    const looked = await index.look(watchId);
    const watch = foldWatch(await store.load<WatchEvent>(db, watchStream(watchId)));
    if (!looked || !watch) {
      throw new LockstepError("not-found", "there is no watch with this id", { details: { id: watchId } });
    }
    const locks = await locksById(db, watch.chain, watch.lockId);
    const secret = await publishedSecret(db, watch.terms.hashlock);
    const now = chains.clockTime();
    const times = timesOf(watch, chains);
    const failure = await failureOf(watch, locks, times, now);
    if (failure) return record(watch, [failure]);
    const action = nextStep(watch, { lock: sightOf(locks), secretPublic: secret !== undefined }, times, now);
    deps.log.debug({ watch: watch.id, action }, "next step");
    switch (action.kind) {
      case "ended":
        return;
      case "wait":
        return later(looked, action.until);
      case "end":
        return record(watch, [{ type: "WatchEnded", data: { outcome: action.outcome } }]);
      case "step": {
        const account = watch.account ?? deps.account;
        const chain = chains.find(watch.chain);
        const lock = chain && (await openOne(chain, watch, locks));
        if (!lock || account === undefined) return later(looked, now + offSeconds);
        const leaves = lock.lock.kind === "leaf" ? await leavesOf(db, watch.chain, lock.lock.root) : [];
        const intent = watchIntent(watch, action, { lock: lock.lock, leaves, secret, account }, times);
        const { step, attempt } = action;
        const started: WatchEvent = { type: "WatchStepStarted", data: { step, attempt, intentId: intent.id } };
        await db.tx(async (tx) => {
          await deps.sender.submit(tx, [intent]);
          await store.append(tx, [{ stream: watchStream(watch.id), expected: watch.version, events: [started] }]);
        });
      }
    }
  }

  const later = (looked: Looked, seconds: bigint) => index.schedule(looked, new Date(Number(seconds) * 1000));

  /** What is on its way has ended, and the lock is open all the same. */
  async function failureOf(
    watch: Watch,
    locks: readonly LedgerLock[],
    times: WatchTimes,
    now: bigint,
  ): Promise<WatchEvent | undefined> {
    const { taken } = watch;
    if (!taken || taken.failure || watch.outcome || sightOf(locks).state === "ended") return undefined;
    const why = await whyFailed(watch, taken.intentId, locks);
    if (!why) return undefined;
    const attempt = watch.attempts[taken.step];
    const retryAt = now + retrySeconds(taken.step, watch.failures + 1, times, now);
    return { type: "WatchStepFailed", data: { step: taken.step, attempt, ...why, retryAt } };
  }

  async function whyFailed(watch: Watch, intentId: string, locks: readonly LedgerLock[]) {
    const intent = await deps.sender.find(db, intentId);
    if (intent?.state === "abandoned") return { code: `intent-${intent.reason}`, detail: intent.detail };
    if (intent?.state !== "finalized") return undefined;
    if (intent.status === "reverted") return { code: "intent-reverted", detail: `transaction ${intent.hash} reverted` };
    // Usually its log is only to be read yet. The same terms may also have been locked again meanwhile.
    const chain = chains.find(watch.chain);
    if (!chain || !(await openOnChain(chain, watch, locks))) return undefined;
    return { code: "intent-without-effect", detail: `transaction ${intent.hash} left the lock open` };
  }

  /** Which of the locks under the id is closed next. Only leaves of several batches can be open at the same time. */
  async function openOne(
    chain: SwapChain,
    watch: Watch,
    locks: readonly LedgerLock[],
  ): Promise<LedgerLock | undefined> {
    const open = locks.filter(({ end }) => !end);
    return open.length > 1 ? openOnChain(chain, watch, locks) : open[0];
  }

  /** Whether the chain's latest block has one of the locks open. */
  async function openOnChain(
    { chain }: SwapChain,
    { contract, chainId, lockId }: Watch,
    locks: readonly LedgerLock[],
  ): Promise<LedgerLock | undefined> {
    for (const each of locks) {
      const { lock } = each;
      const data =
        lock.kind === "leaf" ? encodeOpenLeaves(batchId(chainId, contract, lock.root)) : encodeIsOpen(lockId);
      const answer = await chain.call({ to: contract, data });
      if (lock.kind === "leaf" ? decodeIsLeafOpen(answer, lock.index) : decodeIsOpen(answer)) return each;
    }
    return undefined;
  }

  async function record(watch: Watch, events: WatchEvent[]): Promise<void> {
    await db.tx((tx) => store.append(tx, [{ stream: watchStream(watch.id), expected: watch.version, events }]));
  }

  const advance = createAdvance(deps, once);
  return { advance: (id) => deps.tracer.scope(watchStream(id), "watch.advance", () => advance(id)) };
}
