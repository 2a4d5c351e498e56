import { encodeAbiParameters, encodeEventTopics } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { Block, ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { hashlockOf } from "#swap/index.ts";
import type { LockTerms } from "#swap/protocol/lockId.ts";
import type { Random } from "./random.ts";

/** What a transaction of the model does; `lock` carries its id, which the caller computes as the contract does. */
export type Effect =
  | { readonly kind: "lock"; readonly id: Hex; readonly terms: LockTerms }
  | { readonly kind: "claim"; readonly id: Hex; readonly secret: Hex }
  | { readonly kind: "refund"; readonly id: Hex }
  /** Before the timelock, as the recipient signed. */
  | { readonly kind: "refundEarly"; readonly id: Hex; readonly signer: Hex };

export type ModelTransaction = { readonly hash: Hex; readonly effect: Effect | "nothing" };

type Pooled = ModelTransaction & { readonly dueAt: number };
type Included = ModelTransaction & { readonly succeeded: boolean };
type ModelBlock = { readonly block: Block; readonly transactions: readonly Included[] };

type Lock = { readonly terms: LockTerms; readonly end?: "claimed" | "refunded" };
type State = { readonly locks: ReadonlyMap<Hex, Lock>; readonly balances: ReadonlyMap<Hex, bigint> };

/** How a chain behaves; what the service is told of it are bounds that it keeps. */
export type ChainHabits = {
  /** Seconds between two blocks. */
  readonly interval: number;
  /** Blocks on top of a final one. */
  readonly depth: number;
  /** Longest time from arrival to inclusion, in seconds, a block's interval allowed for. */
  readonly inclusion: number;
  /** Seconds by which timestamps run ahead of true time, or behind. */
  readonly offset: number;
};

/** One chain with the timelock contract on it, by the rules that `contracts/HashedTimelock.sol` has. */
export type ModelChain = {
  readonly name: string;
  /** A second passes. */
  pass(now: number): void;
  /** Takes a transaction that is not known yet; it is in a block within the chain's bound. */
  broadcast(transaction: ModelTransaction, now: number): void;
  /** Drops so many blocks that are not final; their transactions wait again. */
  reorganise(depth: number, now: number): void;
  block(at: "latest" | "final" | bigint): Block | undefined;
  /** Where a transaction is in the chain as it is. */
  find(hash: Hex): { readonly block: Block; readonly succeeded: boolean; readonly isFinal: boolean } | undefined;
  logsOf(height: bigint): ChainLog[];
  isOpen(id: Hex, at: bigint | "latest"): boolean;
  /** Whether it would succeed in the next block. */
  wouldSucceed(effect: Effect, now: number): boolean;
  balanceOf(account: Hex): bigint;
  lock(id: Hex): Lock | undefined;
  /** Secrets that anyone can have seen: in waiting transactions and in blocks, also in those that are gone. */
  published(): ReadonlySet<Hex>;
};

export const timelockContract: Hex = `0x${"c0".repeat(20)}`;

export function createModelChain(name: string, habits: ChainHabits, start: number, random: Random): ModelChain {
  const blocks: ModelBlock[] = [];
  const states: State[] = [];
  let pool: Pooled[] = [];
  let salt = 0;
  let nextAt = start;
  const seen = new Set<Hex>();
  const known = new Set<Hex>();
  const funded: State = { locks: new Map(), balances: new Map() };

  const height = () => blocks.length - 1;
  const finalHeight = () => Math.max(0, height() - habits.depth);
  const stateNow = () => states.at(-1) ?? funded;
  const timestampAt = (now: number) => {
    const last = blocks.at(-1)?.block.timestamp ?? 0n;
    const wanted = BigInt(now + habits.offset);
    return wanted > last ? wanted : last;
  };

  function mine(now: number): void {
    const timestamp = timestampAt(now);
    // What must be in by now, and of the rest whatever the producer likes, in the order it likes.
    const chosen = pool.filter(({ dueAt }) => dueAt <= now + habits.interval || random.chance(0.5));
    const ordered = random.chance(0.5) ? chosen : [...chosen].reverse();
    let state = stateNow();
    const transactions = ordered.map(({ hash, effect }): Included => {
      const next = effect === "nothing" ? state : apply(state, effect, timestamp);
      if (next) state = next;
      return { hash, effect, succeeded: next !== undefined };
    });
    pool = pool.filter((each) => !chosen.includes(each));
    const number = BigInt(blocks.length);
    salt += 1;
    const hash = fakeHash(name, salt);
    blocks.push({ block: { number, hash, parentHash: blocks.at(-1)?.block.hash ?? hash, timestamp }, transactions });
    states.push(state);
  }

  function broadcast({ hash, effect }: ModelTransaction, now: number): void {
    if (effect !== "nothing" && effect.kind === "claim") seen.add(effect.secret);
    if (known.has(hash)) return;
    known.add(hash);
    pool.push({ hash, effect, dueAt: now + random.int(0, habits.inclusion) });
  }

  mine(start);
  nextAt = start + habits.interval;
  return {
    name,
    pass(now) {
      if (now < nextAt) return;
      nextAt = now + habits.interval;
      mine(now);
    },
    broadcast,
    reorganise(depth, now) {
      const dropped = blocks.splice(Math.max(finalHeight() + 1, blocks.length - depth));
      states.length = blocks.length;
      for (const { transactions } of dropped) {
        for (const { hash, effect } of transactions) {
          pool.push({ hash, effect, dueAt: now + random.int(0, habits.inclusion) });
        }
      }
      for (const _ of dropped) mine(now);
    },
    block(at) {
      const wanted = at === "latest" ? height() : at === "final" ? finalHeight() : Number(at);
      return blocks[wanted]?.block;
    },
    find(hash) {
      for (const [place, { block, transactions }] of blocks.entries()) {
        const found = transactions.find((each) => each.hash === hash);
        if (found) return { block, succeeded: found.succeeded, isFinal: place <= finalHeight() };
      }
      return undefined;
    },
    logsOf(at) {
      const found = blocks[Number(at)];
      return found ? found.transactions.flatMap((each, index) => logOf(found.block, each, index)) : [];
    },
    isOpen(id, at) {
      const lock = (at === "latest" ? stateNow() : states[Number(at)])?.locks.get(id);
      return lock !== undefined && lock.end === undefined;
    },
    wouldSucceed: (effect, now) => apply(stateNow(), effect, timestampAt(now)) !== undefined,
    balanceOf: (account) => stateNow().balances.get(account) ?? 0n,
    lock: (id) => stateNow().locks.get(id),
    published: () => seen,
  };
}

/** The state after an effect; undefined where the contract reverts. */
function apply(state: State, effect: Effect, timestamp: bigint): State | undefined {
  const lock = state.locks.get(effect.id);
  if (effect.kind === "lock") {
    if (lock && lock.end === undefined) return undefined;
    if (effect.terms.timelock <= timestamp) return undefined;
    return changed(state, effect.id, { terms: effect.terms }, effect.terms.sender, -effect.terms.amount);
  }
  if (!lock || lock.end !== undefined) return undefined;
  const { terms } = lock;
  if (effect.kind === "claim") {
    if (timestamp >= terms.timelock || hashlockOf(effect.secret) !== terms.hashlock) return undefined;
    return changed(state, effect.id, { terms, end: "claimed" }, terms.recipient, terms.amount);
  }
  const mayRefund = effect.kind === "refundEarly" ? effect.signer === terms.recipient : timestamp >= terms.timelock;
  if (!mayRefund) return undefined;
  return changed(state, effect.id, { terms, end: "refunded" }, terms.sender, terms.amount);
}

function changed(state: State, id: Hex, lock: Lock, account: Hex, amount: bigint): State {
  const balances = new Map(state.balances).set(account, (state.balances.get(account) ?? 0n) + amount);
  return { locks: new Map(state.locks).set(id, lock), balances };
}

function logOf(
  { number, hash }: Block,
  { hash: transactionHash, effect, succeeded }: Included,
  index: number,
): ChainLog[] {
  if (effect === "nothing" || !succeeded) return [];
  const place = { address: timelockContract, blockNumber: number, blockHash: hash, transactionHash, logIndex: index };
  return [{ ...place, ...encodedLog(effect) }];
}

const lockedTypes = ["address", "uint256", "bytes32", "uint64", "uint96"].map((type) => ({ type }));

function encodedLog(effect: Effect): { topics: Hex[]; data: Hex } {
  const topicsOf = (eventName: "Locked" | "Claimed" | "Refunded", args: object) =>
    encodeEventTopics({ abi: hashedTimelockAbi, eventName, args } as never) as Hex[];
  switch (effect.kind) {
    case "lock": {
      const { sender, recipient, token, amount, hashlock, timelock, tip } = effect.terms;
      const data = encodeAbiParameters(lockedTypes, [token, amount, hashlock, timelock, tip]);
      return { topics: topicsOf("Locked", { id: effect.id, sender, recipient }), data };
    }
    case "claim":
      return { topics: topicsOf("Claimed", { id: effect.id }), data: effect.secret };
    case "refund":
    case "refundEarly":
      return { topics: topicsOf("Refunded", { id: effect.id }), data: "0x" };
  }
}

const fakeHash = (name: string, number: number): Hex =>
  `0x${Buffer.from(name).toString("hex").padEnd(16, "0")}${number.toString(16).padStart(48, "0")}`;
