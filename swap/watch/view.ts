import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { LedgerLock, LedgerSighting } from "../locks/rows.ts";
import { type AnyLock, assetTypeOf } from "../protocol/anyLock.ts";
import type { WatchEvent } from "./events.ts";
import { nextStep, type Sight, type WatchAction, type WatchTimes, type WatchWait } from "./nextStep.ts";
import type { LockView } from "./schemas.ts";
import { foldWatch, type Watch } from "./watch.ts";

/** What a lock's view is made of besides the lock. */
export type LockContext = {
  readonly secret: Hex | undefined;
  readonly swap: string | undefined;
  readonly events: readonly StoredEvent<WatchEvent>[];
  readonly sight: Sight;
  readonly times: WatchTimes;
  readonly now: bigint;
  /** The watchtower has an account that pays. */
  readonly on: boolean;
};

/** A lock as the API shows it. */
export function lockViewOf({ chain, id, lock, seen, end }: LedgerLock, context: LockContext): LockView {
  const { sender, recipient, hashlock, timelock, tip } = lock.terms;
  const { secret, swap, events } = context;
  const watch = foldWatch(events);
  return {
    ...{ chain, lockId: id, state: end?.kind ?? "open", asset: assetOf(lock), amount: amountOf(lock) },
    ...{ sender, recipient, hashlock },
    ...{ timelock, tip, lock: sighting(seen) },
    ...(lock.kind === "leaf" && { batch: { root: lock.root, index: lock.index } }),
    ...(end && { end: sighting(end) }),
    ...(secret && { secret }),
    ...(swap !== undefined && { swap }),
    ...(watch && { watch: watchViewOf(watch, context) }),
  };
}

const sighting = ({ transactionHash, blockNumber, final }: LedgerSighting) => ({ transactionHash, blockNumber, final });

/** The contracts' terms have zero for an ERC-721; the API says everywhere that it is one. */
const amountOf = (lock: AnyLock): bigint => (assetTypeOf(lock) === "erc721" ? 1n : lock.terms.amount);

function assetOf(lock: AnyLock): LockView["asset"] {
  const type = assetTypeOf(lock);
  const address = lock.terms.token;
  const tokenId = lock.kind === "item" ? lock.terms.tokenId : 0n;
  switch (type) {
    case "native":
      return { type };
    case "erc20":
      return { type, address };
    case "erc721":
    case "erc1155":
      return { type, address, tokenId };
  }
}

function watchViewOf(watch: Watch, context: LockContext): LockView["watch"] {
  return {
    state: watch.outcome ?? "watching",
    ...(watch.account !== undefined && { account: watch.account }),
    reason: reasonOf(watch, context),
    timeline: context.events.map(timelineEntry),
  };
}

const waitingFor: Readonly<Record<WatchWait, string>> = {
  "awaiting-finality": "waiting for the lock's end to be final",
  "awaiting-timelock": "waiting for the secret to become public, or for the timelock to run out",
  "reorganised-out": "a reorganisation removed the lock; it can come back until its timelock",
  "step-in-progress": "a transaction is on its way",
  "step-retry": "the last attempt failed; it is tried again",
  "watchtower-off": "the watchtower is not configured any more, so that no account pays",
};

const endedWith: Readonly<Record<NonNullable<Watch["outcome"]>, string>> = {
  claimed: "the lock was claimed",
  refunded: "the lock was refunded",
  gone: "a reorganisation removed the lock, and its timelock has passed",
  missed: "its secret did not become public in time; what is left is the sender's refund",
  failed: "it could not be closed however often that was tried",
};

/** Why a watched lock is where it is, in a code and in words. */
function reasonOf(
  watch: Watch,
  { sight, times, now, on }: Pick<LockContext, "sight" | "times" | "now" | "on">,
): { code: string; message: string; nextAttemptAt?: string } {
  if (watch.outcome) return { code: watch.outcome, message: endedWith[watch.outcome] };
  const action = nextStep(watch, sight, times, now);
  if (action.kind === "step" && watch.account === undefined && !on) {
    return { code: "watchtower-off", message: waitingFor["watchtower-off"] };
  }
  return wordsOf(action, watch);
}

function wordsOf(action: WatchAction, watch: Watch): { code: string; message: string; nextAttemptAt?: string } {
  switch (action.kind) {
    case "ended":
    case "end":
      return { code: "ending", message: "nothing is left to do" };
    case "step":
      return { code: action.step, message: `the ${action.step} is due` };
    case "wait": {
      const failure = action.code === "step-retry" ? watch.taken?.failure : undefined;
      return {
        code: failure?.code ?? action.code,
        message: failure ? `${waitingFor[action.code]}: ${failure.detail}` : waitingFor[action.code],
        nextAttemptAt: new Date(Number(action.until) * 1000).toISOString(),
      };
    }
  }
}

function timelineEntry(event: StoredEvent<WatchEvent>): NonNullable<LockView["watch"]>["timeline"][number] {
  const base = { at: event.at.toISOString(), what: event.type };
  switch (event.type) {
    case "LockWatched":
      return base;
    case "WatchStepStarted":
      return { ...base, detail: `${event.data.step}, attempt ${event.data.attempt}` };
    case "WatchStepFailed":
      return { ...base, code: event.data.code, detail: `${event.data.step}: ${event.data.detail}` };
    case "WatchEnded":
      return { ...base, code: event.data.outcome };
    case "WatchReopened":
      return { ...base, detail: `what it ended with was dropped above block ${event.data.ancestor}` };
  }
}
