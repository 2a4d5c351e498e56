import { z } from "zod";

/**
 * Why a message or a lane is where it is: every code that the API answers as `reason.code`. Codes are added, never
 * renamed. `docs/reasons.md` shows the same rows, and a test keeps the two equal.
 */
export const reasonTable = {
  "awaiting-inclusion": "Its transaction is on the way to the origin",
  "reorged-out": "Its block was reorganised out of the origin",
  "awaiting-finality": "Its block at the origin, or that of its execution, is not final yet",
  "awaiting-quorum": "Too few validators have signed; `quorum` names those that are missing",
  "awaiting-header": "A header of the origin, which its delivery is proven under, is on its way to the destination",
  "header-conflict": "The destination has another header of the origin than this service; an operator has to look",
  "awaiting-delivery": "Its delivery comes next, or it stands behind others of its lane",
  "delivery-in-progress": "The transaction that delivers or retries it is on the way",
  "execution-failed": "The recipient did not take it; it is retried by itself or when asked",
  deferred: "An operator had it recorded as failed; it is retried only when asked",
  "dead-lettered": "Every automatic attempt has failed; it is tried again only when asked",
  abandoned: "Somebody decided here that it is not retried any more",
  "lane-realigned": "Governance realigned the lane past it: it never runs, or only when retried",
  "lane-diverged":
    "The destination is on another branch of the origin than there is; governance has to realign the lane",
  "start-block-too-high":
    "The lane is older than the block from which its chain is read; `startBlock` has to be lowered",
  "lane-paused": "The lane is paused in this service",
  "chain-paused": "A chain of the lane is paused in this service",
  "lane-removed": "The lane, or a chain of it, was removed from this service; its messages wait until it is back",
  ended: "Nothing is left to do",
  "endpoint-down": "The endpoints of the destination do not answer, or not usefully",
  "validator-set-mismatch": "The destination knows other validators than the configuration, or their epoch is over",
  "destination-paused": "A guardian has paused the lane at the destination",
  "bucket-empty": "The destination takes no more messages of the lane for the moment",
  "gas-price-too-high": "Gas at the destination costs more than the configured limit",
  unprofitable: "What was paid for the messages does not cover their delivery",
  "lane-denied": "The configured policy does not serve the lane",
  "message-denied": "The configured policy refuses the message, and no account here may defer it",
  deferring: "The message is being deferred at the destination, so that the lane can go on without it",
  "dry-run-reverts": "Delivering the message would revert; nothing was sent",
  "delivery-failed": "The last delivery failed; it is tried again",
  "retry-reverts": "Executing it once more would still fail; nothing was sent",
  "balance-insufficient": "The account that pays does not hold enough for the transaction",
  "dry-run-undecided": "The transaction could not be tried; it is tried again",
  "guard-undecided":
    "The last check before sending could not decide; it is asked again. Where others wait behind it, it leaves them its nonce and is queued again",
  "inclusion-stalled": "The transaction was sent and is in no block for longer than usual",
  "signing-failed": "The transaction could not be signed; it is tried again",
  "transaction-refused": "No endpoint takes the transaction; it is sent again",
  "intent-reverts": "The transaction would revert and was not sent",
  "intent-reverted": "The transaction was included and reverted",
  "intent-expired": "The transaction was not sent in time",
  "intent-refused": "The last check before sending refused the transaction",
} as const;

export type ReasonCode = keyof typeof reasonTable;

const codes = Object.keys(reasonTable) as [ReasonCode, ...ReasonCode[]];

/** A code as the API answers it. */
export const reasonCodeSchema = z.enum(codes);

/** The code behind stored text, which an older or newer version may have written. */
export const reasonCodeOf = (text: string): ReasonCode => reasonCodeSchema.catch("delivery-failed").parse(text);
