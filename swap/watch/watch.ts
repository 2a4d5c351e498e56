import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { LockTerms } from "../protocol/lockId.ts";
import type { WatchEvent, WatchStep } from "./events.ts";

type Ended = Extract<WatchEvent, { type: "WatchEnded" }>["data"]["outcome"];

/** The step taken last. */
type Taken = {
  readonly step: WatchStep;
  readonly intentId: string;
  readonly failure?: { readonly code: string; readonly detail: string; readonly retryAt: bigint };
};

/** A lock that is driven to its end though it belongs to no swap here. */
export type Watch = {
  readonly id: string;
  readonly version: number;
  readonly chain: string;
  readonly chainId: number;
  readonly contract: Hex;
  readonly lockId: Hex;
  readonly terms: Pick<LockTerms, "hashlock" | "timelock">;
  /** The managed account that the lock concerns; a stranger's lock has none. */
  readonly account?: string;
  /** Whether a refund is driven too. */
  readonly refunds: boolean;
  readonly attempts: Readonly<Record<WatchStep, number>>;
  readonly taken?: Taken;
  /** Attempts that failed since the lock is watched, and those of them that were mined and paid for. */
  readonly failures: number;
  readonly reverts: number;
  readonly outcome?: Ended;
};

/** The watch after its events; undefined before the first. */
export function foldWatch(events: readonly StoredEvent<WatchEvent>[]): Watch | undefined {
  return events.reduce<Watch | undefined>(evolve, undefined);
}

function evolve(watch: Watch | undefined, event: StoredEvent<WatchEvent>): Watch {
  if (event.type === "LockWatched") return begin(watch, event);
  if (!watch) throw new Error(`stream ${event.stream} does not begin with LockWatched`);
  return { ...change(watch, event), version: event.version };
}

/** Watched again: numbers of attempts go on, since intents are named by them. */
function begin(before: Watch | undefined, event: Extract<StoredEvent<WatchEvent>, { type: "LockWatched" }>): Watch {
  const { chain, chainId, timelockContract, lockId, hashlock, timelock, account, refunds } = event.data;
  return {
    ...{ id: event.stream.slice("watch-".length), version: event.version, chain, chainId, contract: timelockContract },
    ...{ lockId, terms: { hashlock, timelock }, refunds, failures: 0, reverts: 0 },
    ...(account !== undefined && { account }),
    attempts: before?.attempts ?? { claim: 0, refund: 0 },
    ...(before?.taken && { taken: before.taken }),
  };
}

function change(watch: Watch, event: Exclude<WatchEvent, { type: "LockWatched" }>): Watch {
  switch (event.type) {
    case "WatchStepStarted": {
      const { step, attempt, intentId } = event.data;
      return { ...watch, attempts: { ...watch.attempts, [step]: attempt }, taken: { step, intentId } };
    }
    case "WatchStepFailed": {
      const { step, code, detail, retryAt } = event.data;
      const intentId = watch.taken?.intentId ?? "";
      return {
        ...watch,
        taken: { step, intentId, failure: { code, detail, retryAt } },
        failures: watch.failures + 1,
        reverts: watch.reverts + (code === "intent-reverted" ? 1 : 0),
      };
    }
    case "WatchEnded":
      return { ...watch, outcome: event.data.outcome };
    case "WatchReopened": {
      const { outcome: _ended, ...open } = watch;
      return { ...open, failures: 0, reverts: 0 };
    }
  }
}
