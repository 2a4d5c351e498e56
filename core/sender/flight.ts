import type { Fees, Receipt } from "../chain/chain.ts";
import type { Hex } from "../kernel/codec.ts";
import { blocksBeforeRaise } from "./fees.ts";
import type { IntentRequest } from "./sender.ts";

/** One priced transaction at a nonce: the intent's call, or a transfer of nothing to oneself that uses the nonce up. */
export type Attempt = {
  readonly hash: Hex;
  readonly kind: "call" | "void";
  readonly fees: Fees;
  readonly sealed: Buffer;
};

/** Why an intent leaves its nonce to others and waits for another one. */
export type GivingWay = "unpayable" | "undecided";

export const givesWay = (reason: Voiding["reason"]): reason is GivingWay =>
  reason === "unpayable" || reason === "undecided";

/** Why a nonce is being used up instead of the call being made. */
export type Voiding = {
  /**
   * `unpayable`, `undecided`: the account cannot pay the call, or its guard cannot decide, and others wait behind it; it is
   * queued again afterwards.
   */
  readonly reason: "expired" | "refused" | GivingWay;
  readonly detail: string;
};

type Inclusion = {
  readonly hash: Hex;
  readonly blockNumber: bigint;
  readonly status: "success" | "reverted";
};

/** An intent that has a nonce and has not ended. */
export type Flight = {
  readonly intent: IntentRequest;
  /** Order of submission. */
  readonly place: bigint;
  readonly nonce: number;
  /** Oldest first, all at this nonce. */
  readonly attempts: readonly Attempt[];
  /**
   * True once bytes of the call may have left: from then on it is driven to its end whatever the time. Taken back when
   * no endpoint took them, unless a builder made them: those may hold a secret.
   */
  readonly released: boolean;
  readonly voiding: Voiding | undefined;
  readonly included: Inclusion | undefined;
  /** Events its stream has. */
  readonly events: number;
  /** When this process last sent the newest attempt; undefined: it has to be sent. */
  readonly sent: { readonly at: number } | undefined;
  /** Head that was seen first after that. */
  readonly sentAtHead: bigint | undefined;
  /** Head that was seen first after the newest attempt was made. */
  readonly pricedAtHead: bigint | undefined;
  /** Since when it is refused because the account cannot pay it, in Unix milliseconds. */
  readonly unpaid: { readonly since: number } | undefined;
  /** Since when its guard cannot decide, in Unix milliseconds; undefined where it did when last asked. */
  readonly undecided: { readonly since: number } | undefined;
  /** An endpoint has said that it has bytes of it, or an earlier process may have heard so. */
  readonly accepted: boolean;
  /** Since when nodes refuse it for a reason of their own, and when they last did; undefined once one has taken it. */
  readonly declined: { readonly since: number; readonly at: number; readonly detail: string } | undefined;
  /**
   * When its first byte left, in Unix milliseconds, where the time until it is in a block says something about the chain;
   * undefined when that has other reasons: its price, the account's balance, a refusal, or another process that sent it.
   */
  readonly timed: { readonly from: number | undefined } | undefined;
};

export type Sighting =
  | { readonly kind: "ended"; readonly attempt: Attempt; readonly receipt: Receipt }
  | { readonly kind: "included"; readonly attempt: Attempt; readonly receipt: Receipt }
  /** It was in a block that is gone. */
  | { readonly kind: "dropped" }
  | { readonly kind: "nothing" };

/** What the receipts of a flight's attempts say. Nothing but a receipt in a final block ends a flight. */
export function sight(flight: Flight, receipts: ReadonlyMap<Hex, Receipt>, finalHeight: bigint): Sighting {
  const attempt = flight.attempts.find(({ hash }) => receipts.has(hash));
  const receipt = attempt && receipts.get(attempt.hash);
  if (attempt === undefined || receipt === undefined) {
    return flight.included === undefined ? { kind: "nothing" } : { kind: "dropped" };
  }
  if (receipt.blockNumber <= finalHeight) return { kind: "ended", attempt, receipt };
  const same =
    flight.included?.hash === receipt.transactionHash &&
    flight.included.blockNumber === receipt.blockNumber &&
    flight.included.status === receipt.status;
  return same ? { kind: "nothing" } : { kind: "included", attempt, receipt };
}

export type Moment = {
  /** Unix milliseconds. */
  readonly now: number;
  readonly head: bigint;
  /** Nothing below it at this account is waiting. */
  readonly lowest: boolean;
  /** Something above it at this account is waiting; where its guard is undecided: something whose guard is not. */
  readonly followed: boolean;
  /** Wei a gas that the chain asks now. */
  readonly freshMaxFee: bigint;
  /** Its deadline is near, or that of something that waits for it. */
  readonly pressing: boolean;
  readonly resendMs: number;
};

/** How many times `resendMs` nodes may refuse a transaction that others wait for, before it gives up its nonce. */
const refusals = 30;

/** What a flight needs now; `hold`: nothing, and nothing above it may be sent either. */
export function nextMove(flight: Flight, moment: Moment): "wait" | "hold" | "send" | "raise" | "void" {
  const newest = flight.attempts.at(-1);
  if (flight.included !== undefined || newest === undefined) return "wait";
  if (flight.voiding === undefined && !flight.released && isLate(flight.intent, moment.now)) return "void";
  if (flight.voiding !== undefined && newest.kind === "call") return "void";
  if (flight.voiding === undefined && holdsUp(flight, moment)) return "void";
  if (flight.declined !== undefined && moment.now - flight.declined.at < moment.resendMs) return "hold";
  if (flight.sent === undefined) return "send";
  const blocksSince = (height: bigint | undefined) => (height === undefined ? 0n : moment.head - height);
  const underpriced = newest.fees.maxFeePerGas < moment.freshMaxFee;
  const patience = moment.pressing ? 1n : blocksBeforeRaise;
  const mayPay = moment.lowest || underpriced || moment.pressing;
  if (blocksSince(flight.pricedAtHead) >= patience && mayPay) return "raise";
  const due = moment.now - flight.sent.at >= moment.resendMs || (moment.lowest && blocksSince(flight.sentAtHead) > 0n);
  return due ? "send" : "wait";
}

/** Refused or not decided about for a while, though others wait for its nonce to be used. */
function holdsUp(flight: Flight, { now, followed, resendMs }: Moment): boolean {
  const { intent, unpaid, undecided, declined, released } = flight;
  // What may be asked for in parts gives up its nonce also where nothing waits for it.
  if (!released && unpaid !== undefined && intent.signBy !== undefined) return now - unpaid.since >= resendMs;
  if (released || !followed) return false;
  if (undecided !== undefined) return now - undecided.since >= resendMs;
  if (unpaid !== undefined) return now - unpaid.since >= resendMs;
  return declined !== undefined && now - declined.since >= refusals * resendMs;
}

/** Why a flight that has to be voided now is. */
export function reasonToVoid({ intent, voiding, unpaid, undecided, declined }: Flight, now: number): Voiding {
  if (voiding !== undefined) return voiding;
  if (undecided !== undefined && !isLate(intent, now)) {
    return { reason: "undecided", detail: "its last check cannot be made, and others wait for its nonce" };
  }
  if (declined !== undefined && !isLate(intent, now)) {
    return { reason: "refused", detail: `no node takes it: ${declined.detail}` };
  }
  if (unpaid === undefined) return { reason: "expired", detail: "its time had passed before it was sent" };
  if (!isLate(intent, now)) return { reason: "unpayable", detail: "the account cannot pay it now" };
  return { reason: "expired", detail: "its time passed while the balance of the account was too short for it" };
}

/** True when the intent may not be sent for the first time any more. */
export const isLate = ({ notAfter }: IntentRequest, now: number): boolean => isOver(notAfter, now);

/** True when an intent that has no nonce may not get one any more. */
export const isTooLateToSign = ({ notAfter, signBy }: IntentRequest, now: number): boolean =>
  isOver(notAfter, now) || isOver(signBy, now);

const isOver = (last: bigint | undefined, now: number): boolean =>
  last !== undefined && BigInt(Math.floor(now / 1_000)) > last;
