import { z } from "zod";
import type { EventOf } from "#core/events/store.ts";
import { address, hash, uint } from "#core/kernel/codec.ts";

/** Names in this file are stored for ever: add, never rename. */
const stepName = z.enum(["claim", "refund"]);
export type WatchStep = z.infer<typeof stepName>;

/** The terms of a lock of any kind. */
const watchedLock = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("payment") }),
  z.object({ kind: z.literal("item"), tokenId: uint }),
  z.object({ kind: z.literal("leaf"), index: z.number().int().nonnegative() }),
]);

export const watchEvents = {
  /** A lock that is no leg of a swap here is driven to its end from now on. */
  LockWatched: z.object({
    chain: z.string(),
    chainId: z.number().int().positive(),
    timelockContract: address,
    lockId: hash,
    lock: watchedLock,
    sender: address,
    recipient: address,
    /** The zero address for the native coin. */
    token: address,
    amount: uint,
    hashlock: hash,
    timelock: uint,
    tip: uint,
    /** The managed account that the lock concerns and that sends for it; without it the watchtower's own does. */
    account: z.string().optional(),
    /** False where the refund would go to a stranger, who can ask for it himself. */
    refunds: z.boolean(),
  }),
  /** The service set out to do a step; `intentId` names the transaction's intent. */
  WatchStepStarted: z.object({ step: stepName, attempt: z.number().int().positive(), intentId: z.string() }),
  /** The step's intent ended and the lock is open all the same. `code` says why in one word, `detail` in many. */
  WatchStepFailed: z.object({
    step: stepName,
    attempt: z.number().int().positive(),
    code: z.string(),
    detail: z.string(),
    /** Unix seconds before which no step is tried again. */
    retryAt: uint,
  }),
  /**
   * Nothing is left to do: claimed or refunded in a final block; `gone` when a reorganisation removed the lock and its
   * timelock has passed, so that it cannot be made again; `missed` when it can only be refunded to a stranger; `failed`
   * when a stranger's lock could not be closed however often that was tried.
   */
  WatchEnded: z.object({ outcome: z.enum(["claimed", "refunded", "gone", "missed", "failed"]) }),
  /** The chain dropped final blocks, and what the watch ended for with them. */
  WatchReopened: z.object({ ancestor: uint }),
} as const;

export type WatchEvent = EventOf<typeof watchEvents>;

/** The id of a watch: one for each lock id of a chain, however often that is locked. */
export const watchIdOf = (chain: string, lockId: string) => `${chain}-${lockId}`;
export const watchStream = (watchId: string) => `watch-${watchId}`;
