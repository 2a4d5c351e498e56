import type { Block, ChainLog } from "#core/chain/chain.ts";
import type { Hex } from "#core/kernel/codec.ts";
import {
  apply,
  type Circumstances,
  type Consent,
  type ContractState,
  contractWindows,
  type Effect,
  emptyContract,
  type Lock,
  type TokenMood,
  type Windows,
} from "./modelContract.ts";
import { logsOfEffect } from "./modelLogs.ts";
import type { Random } from "./random.ts";

export type ModelTransaction = { readonly hash: Hex; readonly effect: Effect };

/** `private`: nobody sees it before it is in a block, and there it comes first. */
type Arrived = ModelTransaction & { readonly arrivedAt: number };
type Pooled = Arrived & { readonly dueAt: number; readonly private: boolean };
type Included = Arrived & { readonly succeeded: boolean };
type ModelBlock = { readonly block: Block; readonly madeAt: number; readonly transactions: readonly Included[] };

/** How a chain behaves; what the service is told of it are bounds that it keeps. Times are seconds. */
export type ChainHabits = {
  /** Most between two blocks. */
  readonly interval: number;
  /** Blocks on top of a final one. */
  readonly depth: number;
  /** Longest from arrival until a block takes a transaction, outages aside. */
  readonly inclusion: number;
  /** Longest without a block, on top of the interval. */
  readonly outage: number;
  /** Most by which a timestamp runs ahead of true time, or behind. */
  readonly skew: number;
  /** How often a timestamp is at the edge of that, and a transaction waits as long as it can. */
  readonly spite: number;
};

/** What whoever makes blocks does to them. Everything is optional. */
export type Branch = {
  /** Comes first in the new branch. */
  readonly inject?: ModelTransaction;
  /** Is replaced by another transaction of its sender and never comes back. */
  readonly cancel?: readonly Hex[];
  /** The branch was made while the blocks that it replaces were, and shown only now. */
  readonly withheld?: boolean;
};

/** One chain with the timelock contract on it. */
export type ModelChain = {
  readonly name: string;
  /** A second passes. */
  pass(now: number): void;
  /** Takes a transaction that is not known yet; it is in a block within the chain's bound. */
  broadcast(transaction: ModelTransaction, now: number, how?: { private?: boolean }): void;
  /** Replaces so many of the newest blocks; other transactions of theirs wait again. */
  reorganise(depth: number, now: number, branch?: Branch): void;
  /** No blocks for so many seconds. */
  halt(until: number): void;
  /** From now on until then no further block is said to be final. */
  stallFinality(until: number): void;
  block(at: "latest" | "final" | bigint): Block | undefined;
  /** Where a transaction is in the chain as it is. */
  find(hash: Hex): { readonly block: Block; readonly succeeded: boolean; readonly isFinal: boolean } | undefined;
  logsOf(height: bigint): ChainLog[];
  transactionsOf(height: bigint): readonly (ModelTransaction & { readonly succeeded: boolean })[];
  /** When the next block is made, and when the oldest of so many of the newest blocks was. */
  nextBlockAt(): number;
  madeAt(depth: number): number;
  /** Blocks on top of the one in which a lock ended. */
  ageOfEnd(id: Hex): number | undefined;
  stateAt(at: bigint | "latest" | "final"): ContractState;
  /** Whether it would succeed in the next block. */
  wouldSucceed(effect: Effect, now: number): boolean;
  lock(id: Hex): Lock | undefined;
  /** Secrets that anyone can have seen: in waiting transactions and in blocks, also in those that are gone. */
  published(): ReadonlySet<Hex>;
  /** What was signed for early refunds, as far as anyone can have seen it. */
  consents(): readonly Consent[];
  /** Transactions that everybody sees waiting. */
  waiting(): readonly ModelTransaction[];
  /** Locks of which both ends, or none, would have been possible in some block. */
  overlaps(): readonly string[];
};

type Deps = {
  name: string;
  habits: ChainHabits;
  start: number;
  random: Random;
  /** What the chain's token does at a time. */
  moodAt(now: number): TokenMood;
  windows?: Windows | undefined;
  /** Accounts that have approved the timelock long ago. */
  approved: readonly Hex[];
};

export function createModelChain({ name, habits, start, random, moodAt, approved, ...rest }: Deps): ModelChain {
  const windows = rest.windows ?? contractWindows;
  const blocks: ModelBlock[] = [];
  const states: ContractState[] = [];
  const places = new Map<Hex, number>();
  let pool: Pooled[] = [];
  let salt = 0;
  let nextAt = start;
  let haltedUntil = start;
  let stalled = { at: 0, until: start };
  let time = start;
  const known = new Set<Hex>();
  const seen = new Set<Hex>();
  const consents: Consent[] = [];
  const overlaps = new Set<string>();

  const height = () => blocks.length - 1;
  const deepEnough = () => Math.max(0, height() - habits.depth);
  const finalHeight = () => (time < stalled.until ? Math.min(stalled.at, deepEnough()) : deepEnough());
  const first: ContractState = { ...emptyContract, approved: new Set(approved) };
  const stateNow = () => states.at(-1) ?? first;
  const spread = () => (random.chance(habits.spite) ? random.pick([-1, 1]) * habits.skew : random.int(-1, 1));
  const timestampAt = (madeAt: number) => {
    const last = blocks.at(-1)?.block.timestamp ?? 0n;
    const wanted = BigInt(madeAt + Math.max(-habits.skew, Math.min(habits.skew, spread())));
    return wanted > last ? wanted : last;
  };
  const earliest = (madeAt: number) => {
    const last = blocks.at(-1)?.block.timestamp ?? 0n;
    return BigInt(madeAt - habits.skew) > last ? BigInt(madeAt - habits.skew) : last;
  };
  const dueAt = (now: number) =>
    now + (random.chance(habits.spite) ? habits.inclusion : random.int(0, habits.inclusion));
  const show = ({ effect }: ModelTransaction) => {
    if (effect.kind === "claim") seen.add(effect.secret);
    if (effect.kind === "refundEarly") consents.push(effect.consent);
  };

  function mine(now: number, madeAt = now, injected?: ModelTransaction): void {
    const timestamp = injected ? earliest(madeAt) : timestampAt(madeAt);
    // What must be in by now, and of the rest whatever the producer likes, in the order it likes.
    const chosen = pool.filter(
      (each) =>
        each.arrivedAt <= madeAt && (each.private || each.dueAt <= now || random.chance((1 - habits.spite) / 2)),
    );
    if (chosen.length > 0) pool = pool.filter((each) => !chosen.includes(each));
    const ordered = random.chance(0.5) ? chosen : chosen.reverse();
    const all = [
      ...(injected ? [{ ...injected, arrivedAt: now }] : []),
      ...ordered.filter((each) => each.private),
      ...ordered.filter((each) => !each.private),
    ];
    const at: Circumstances = { timestamp, windows, mood: moodAt(madeAt) };
    let state = stateNow();
    noteOverlaps(state, timestamp);
    const number = BigInt(blocks.length);
    const transactions = all.map(({ hash, effect, arrivedAt }): Included => {
      show({ hash, effect });
      known.add(hash);
      places.set(hash, blocks.length);
      const next = apply(state, effect, at);
      if (next) state = next;
      return { hash, effect, arrivedAt, succeeded: next !== undefined };
    });
    salt += 1;
    const hash = fakeHash(name, salt);
    const parentHash = blocks.at(-1)?.block.hash ?? hash;
    blocks.push({ block: { number, hash, parentHash, timestamp }, madeAt, transactions });
    states.push(state);
  }

  function noteOverlaps({ locks }: ContractState, timestamp: bigint): void {
    for (const [id, { terms, end }] of locks) {
      if (end === undefined && windows.mayClaim(terms, timestamp) === windows.mayRefund(terms, timestamp))
        overlaps.add(id);
    }
  }

  function reorganise(depth: number, now: number, { inject, cancel = [], withheld = false }: Branch = {}): void {
    const dropped = blocks.splice(Math.max(deepEnough() + 1, blocks.length - depth));
    states.length = blocks.length;
    for (const { transactions } of dropped) {
      for (const { hash, effect, arrivedAt } of transactions) {
        places.delete(hash);
        if (!cancel.includes(hash)) pool.push({ hash, effect, arrivedAt, dueAt: dueAt(now), private: false });
      }
    }
    pool = pool.filter(({ hash }) => !cancel.includes(hash));
    dropped.forEach(({ madeAt }, place) => {
      mine(now, withheld ? madeAt : now, place === 0 ? inject : undefined);
    });
  }

  mine(start);
  nextAt = start + habits.interval;
  const numberOf = (at: "latest" | "final" | bigint) =>
    at === "latest" ? height() : at === "final" ? finalHeight() : Number(at);
  return {
    name,
    pass(now) {
      time = now;
      // A block right before a transaction must be in one makes it wait for a whole interval more.
      const spiteful = habits.spite === 1 && pool.some(({ dueAt, private: hidden }) => !hidden && dueAt === now + 1);
      if ((now < nextAt && !spiteful) || now < haltedUntil) return;
      nextAt = now + habits.interval;
      mine(now);
    },
    broadcast(transaction, now, how = {}) {
      if (known.has(transaction.hash)) return;
      known.add(transaction.hash);
      if (!how.private) show(transaction);
      pool.push({ ...transaction, arrivedAt: now, dueAt: dueAt(now), private: how.private ?? false });
    },
    reorganise,
    halt(until) {
      haltedUntil = until;
    },
    stallFinality(until) {
      stalled = { at: finalHeight(), until };
    },
    block: (at) => blocks[numberOf(at)]?.block,
    find(hash) {
      const place = places.get(hash);
      const found = place === undefined ? undefined : blocks[place];
      const transaction = found?.transactions.find((each) => each.hash === hash);
      if (place === undefined || !found || !transaction) return undefined;
      return { block: found.block, succeeded: transaction.succeeded, isFinal: place <= finalHeight() };
    },
    logsOf(at) {
      const found = blocks[Number(at)];
      if (!found) return [];
      return found.transactions.flatMap(({ hash, effect, succeeded }, index) =>
        succeeded ? logsOfEffect(found.block, hash, effect, index) : [],
      );
    },
    transactionsOf: (at) => blocks[Number(at)]?.transactions ?? [],
    nextBlockAt: () => Math.max(nextAt, haltedUntil),
    madeAt: (depth) => blocks.at(-Math.min(depth, blocks.length))?.madeAt ?? start,
    ageOfEnd(id) {
      const since = states.findLastIndex(({ locks }) => locks.get(id)?.end === undefined);
      return stateNow().locks.get(id)?.end === undefined ? undefined : height() - since - 1;
    },
    stateAt: (at) => states[numberOf(at)] ?? first,
    wouldSucceed: (effect, now) =>
      apply(stateNow(), effect, { timestamp: pendingTime(now), windows, mood: moodAt(now) }) !== undefined,
    lock: (id) => stateNow().locks.get(id),
    published: () => seen,
    consents: () => consents,
    waiting: () => pool.filter((each) => !each.private),
    overlaps: () => [...overlaps],
  };

  function pendingTime(now: number): bigint {
    const last = blocks.at(-1)?.block.timestamp ?? 0n;
    return BigInt(now) > last ? BigInt(now) : last;
  }
}

const fakeHash = (name: string, number: number): Hex =>
  `0x${Buffer.from(name).toString("hex").padEnd(16, "0")}${number.toString(16).padStart(48, "0")}`;
