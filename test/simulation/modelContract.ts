import { zeroAddress } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { hashlockOf } from "#swap/index.ts";
import type { LockTerms } from "#swap/protocol/lockId.ts";

/** What a recipient signed so that its lock is refunded early: one lock, by the time at which it was made. */
export type Consent = { readonly signer: Hex; readonly id: Hex; readonly lockedAt: bigint; readonly nonce: bigint };

/** What a transaction of the model does; `lock` carries its id, which the caller computes as the contract does. */
export type Effect =
  /** `nonce`: it was signed by the sender and is somebody else's transaction. */
  | { readonly kind: "lock"; readonly id: Hex; readonly terms: LockTerms; readonly nonce?: bigint }
  | { readonly kind: "claim"; readonly id: Hex; readonly secret: Hex }
  | { readonly kind: "refund"; readonly id: Hex }
  | { readonly kind: "refundEarly"; readonly id: Hex; readonly consent: Consent }
  | { readonly kind: "approve"; readonly account: Hex }
  /** Uses up a nonce, so that what was signed with it counts no more. */
  | { readonly kind: "revoke"; readonly account: Hex; readonly nonce: bigint }
  | { readonly kind: "nothing" };

export type Lock = { readonly terms: LockTerms; readonly at: bigint; readonly end?: "claimed" | "refunded" };

/** The timelock contract at a block, with what each account gained or lost by each lock. */
export type ContractState = {
  readonly locks: ReadonlyMap<Hex, Lock>;
  readonly gains: ReadonlyMap<string, bigint>;
  readonly usedNonces: ReadonlySet<string>;
  readonly approved: ReadonlySet<Hex>;
};

/** The two windows of a lock at a block's timestamp. */
export type Windows = {
  mayClaim(terms: LockTerms, timestamp: bigint): boolean;
  mayRefund(terms: LockTerms, timestamp: bigint): boolean;
};

/** As `contracts/HashedTimelock.sol` has them: half-open, so that one ends where the other begins. */
export const contractWindows: Windows = {
  mayClaim: ({ timelock }, timestamp) => timestamp < timelock,
  mayRefund: ({ timelock }, timestamp) => timestamp >= timelock,
};

/** What a hostile token does to payments between the timelock and an account at present. */
export type TokenMood = (account: Hex) => "pays" | "reverts" | "answersFalse";

export type Circumstances = { readonly timestamp: bigint; readonly windows: Windows; readonly mood: TokenMood };

export const emptyContract: ContractState = {
  locks: new Map(),
  gains: new Map(),
  usedNonces: new Set(),
  approved: new Set(),
};

/** What an account gained by a lock so far, negative while it is locked. */
export const gainOf = ({ gains }: ContractState, id: Hex, account: Hex): bigint => gains.get(id + account) ?? 0n;

/** The state after an effect; undefined where the transaction reverts. */
export function apply(state: ContractState, effect: Effect, at: Circumstances): ContractState | undefined {
  switch (effect.kind) {
    case "nothing":
      return state;
    case "approve":
      return { ...state, approved: new Set(state.approved).add(effect.account) };
    case "revoke":
      return withNonce(state, effect.account, effect.nonce);
    case "lock":
      return applyLock(state, effect, at);
    case "claim":
    case "refund":
    case "refundEarly":
      return applyEnd(state, effect, at);
  }
}

function applyLock(
  state: ContractState,
  { id, terms, nonce }: Extract<Effect, { kind: "lock" }>,
  { timestamp, mood }: Circumstances,
): ContractState | undefined {
  const lock = state.locks.get(id);
  if (lock && lock.end === undefined) return undefined;
  if (terms.timelock <= timestamp) return undefined;
  const isToken = terms.token !== zeroAddress;
  if (isToken && (!state.approved.has(terms.sender) || mood(terms.sender) !== "pays")) return undefined;
  const authorized = nonce === undefined ? state : withNonce(state, terms.sender, nonce);
  return authorized && changed(authorized, id, { terms, at: timestamp }, terms.sender, -terms.amount);
}

function applyEnd(
  state: ContractState,
  effect: Extract<Effect, { kind: "claim" | "refund" | "refundEarly" }>,
  { timestamp, windows, mood }: Circumstances,
): ContractState | undefined {
  const lock = state.locks.get(effect.id);
  if (!lock || lock.end !== undefined) return undefined;
  const { terms, at } = lock;
  const paid = effect.kind === "claim" ? terms.recipient : terms.sender;
  if (terms.token !== zeroAddress && mood(paid) !== "pays") return undefined;
  if (effect.kind === "claim") {
    if (!windows.mayClaim(terms, timestamp) || hashlockOf(effect.secret) !== terms.hashlock) return undefined;
    return changed(state, effect.id, { terms, at, end: "claimed" }, paid, terms.amount);
  }
  if (effect.kind === "refund") {
    if (!windows.mayRefund(terms, timestamp)) return undefined;
    return changed(state, effect.id, { terms, at, end: "refunded" }, paid, terms.amount);
  }
  const { signer, id, lockedAt, nonce } = effect.consent;
  if (signer !== terms.recipient || id !== effect.id || lockedAt !== at) return undefined;
  const authorized = withNonce(state, signer, nonce);
  return authorized && changed(authorized, id, { terms, at, end: "refunded" }, paid, terms.amount);
}

function withNonce(state: ContractState, account: Hex, nonce: bigint): ContractState | undefined {
  const key = `${account}/${nonce}`;
  return state.usedNonces.has(key) ? undefined : { ...state, usedNonces: new Set(state.usedNonces).add(key) };
}

function changed(state: ContractState, id: Hex, lock: Lock, account: Hex, amount: bigint): ContractState {
  const gains = new Map(state.gains).set(id + account, gainOf(state, id, account) + amount);
  return { ...state, locks: new Map(state.locks).set(id, lock), gains };
}
