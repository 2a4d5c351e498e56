import { only, type ShownKind } from "#core/events/shown.ts";
import { batchEvents, batchStream, type SwapEvent, swapEvents, swapStream } from "./events.ts";
import { type WatchEvent, watchEvents, watchStream } from "./watch/events.ts";

const onChain = ["leg", "transactionHash", "blockNumber", "blockHash", "at"] as const;
const s = swapEvents;
const w = watchEvents;

/**
 * What is shown of a swap's events. Signatures stay inside, and of a secret that was handed in only that it was. The
 * secret of a claim is shown: the claim has published it on its chain.
 */
const shownSwapEvents = {
  SwapRequested: only(
    s.SwapRequested,
    ...(["hashlock", "initiator", "counterparty", "source", "target", "payer", "quote"] as const),
  ),
  SecretReceived: only(s.SecretReceived),
  SignatureReceived: only(s.SignatureReceived, "leg", "kind", "deadline"),
  LegPlaced: only(s.LegPlaced, "leg", "lockId"),
  StepStarted: only(s.StepStarted, "step", "attempt"),
  StepFailed: only(s.StepFailed, "step", "attempt", "code", "detail", "retryAt"),
  RevealStarted: only(s.RevealStarted, "blockNumber", "blockHash"),
  RevealWithdrawn: only(s.RevealWithdrawn),
  EarlyRefundAgreed: only(s.EarlyRefundAgreed, "leg", "lockedAt", "deadline"),
  SwapApproved: only(s.SwapApproved, "step", "by", "detail"),
  SwapRejected: only(s.SwapRejected, "step", "by", "detail"),
  SwapGivenUp: only(s.SwapGivenUp, "code", "detail"),
  SwapRestored: only(s.SwapRestored, "restore"),
  LegDetected: only(s.LegDetected, ...onChain),
  LegLocked: only(s.LegLocked, "leg", "finalHeight"),
  LegClaimed: only(s.LegClaimed, ...onChain, "secret"),
  LegClaimFinalized: only(s.LegClaimFinalized, "leg", "finalHeight"),
  LegRefunded: only(s.LegRefunded, ...onChain),
  LegRefundFinalized: only(s.LegRefundFinalized, "leg", "finalHeight"),
  LegReorged: only(s.LegReorged, "leg", "undone", "ancestor"),
} as const;

/** What is shown of steps of several swaps in one transaction. */
const shownBatchEvents = { StepsBatched: only(batchEvents.StepsBatched, "step", "chain", "swaps") } as const;

/** What is shown of locks that are driven to their end. */
const shownLockEvents = {
  LockWatched: only(
    w.LockWatched,
    ...(["chain", "chainId", "timelockContract", "lockId", "lock", "sender", "recipient", "token"] as const),
    ...(["amount", "hashlock", "timelock", "tip", "account", "refunds"] as const),
  ),
  WatchStepStarted: only(w.WatchStepStarted, "step", "attempt"),
  WatchStepFailed: only(w.WatchStepFailed, "step", "attempt", "code", "detail", "retryAt"),
  WatchEnded: only(w.WatchEnded, "outcome"),
  WatchReopened: only(w.WatchReopened, "ancestor"),
} as const;

type DataOf<E extends { type: string; data: unknown }, T extends E["type"]> = Extract<E, { type: T }>["data"];

export const shownSwapKinds: readonly ShownKind[] = [
  {
    kind: "swap",
    types: shownSwapEvents,
    subjectOf: (stream) => stream.slice(swapStream("").length),
    about(type, data) {
      if (type !== "SwapRequested") return undefined;
      const { source, target } = data as DataOf<SwapEvent, "SwapRequested">;
      return { chains: [source.chain, target.chain] };
    },
  },
  {
    kind: "batch",
    types: shownBatchEvents,
    subjectOf: (stream) => stream.slice(batchStream("").length),
    about: (_type, data) => ({ chains: [(data as { chain: string }).chain] }),
  },
  {
    kind: "lock",
    types: shownLockEvents,
    subjectOf: (stream) => stream.slice(watchStream("").length),
    about: (type, data) =>
      type === "LockWatched" ? { chains: [(data as DataOf<WatchEvent, "LockWatched">).chain] } : undefined,
  },
];
