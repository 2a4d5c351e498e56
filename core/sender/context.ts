import type { Block, ChainAccess } from "../chain/chain.ts";
import type { SameChain } from "../chain/sameChain.ts";
import type { Db } from "../db/db.ts";
import type { EventStore } from "../events/store.ts";
import type { Clock } from "../kernel/clock.ts";
import type { Hex } from "../kernel/codec.ts";
import type { Mark } from "../kernel/mark.ts";
import type { Log } from "../observe/log.ts";
import type { AttemptSigner } from "./attempts.ts";
import type { Flight } from "./flight.ts";
import type { IntentGuard } from "./sender.ts";
import type { describeIntent, IntentScope } from "./traced.ts";
import type { UrgentCeilings } from "./urgency.ts";
import type { Waits } from "./waits.ts";

/** How a chain is sent to. */
export type SendSettings = {
  /** Milliseconds between two looks while something is under way. */
  readonly pollMs: number;
  /** Milliseconds after which bytes that nobody has seen in a block are sent again. */
  readonly resendMs: number;
  /** Most transactions of one account that wait for a block at a time. */
  readonly maxPending: number;
  /** Wei a gas that a transaction of this kind offers at most. */
  feeCeiling(kind: string): bigint;
  /** What bounds the price of an intent of this kind that names its urgency, instead of `feeCeiling`. */
  urgentCeilings(kind: string): UrgentCeilings;
  /** Milliseconds within which a well-paid transaction is in a block: what the nearness of a deadline is measured by. */
  inclusionMs(): number;
  /** True for kinds that are raised up to their ceiling even above what the market pays: claims that name no urgency. */
  outbids(kind: string): boolean;
  /** True for kinds that never offer more than the chain's own estimate, and wait while gas is dear: refunds. */
  patient(kind: string): boolean;
  /** Milliseconds after which an intent in no block counts as stuck. */
  readonly stuckMs: number;
  /** Below which balance an account raises an alarm; undefined: never. */
  lowBalance(account: string): LowBalance | undefined;
  /** True while intents of this kind stay in the queue, because the chain is paused. */
  holds(kind: string): boolean;
};

/** An amount in wei, or what so many transactions as the account sends cost at present. */
export type LowBalance = { readonly wei: bigint } | { readonly transactions: number };

/** What a sender needs of a chain. */
export type SenderChain = Omit<ChainAccess, "prove">;

/** What everything that works for one account on one chain shares. */
export type LaneContext = {
  readonly chain: SenderChain;
  readonly account: string;
  readonly address: Hex;
  /** Shared by all who work on the chain. */
  readonly sameChain: SameChain;
  readonly db: Db;
  readonly store: EventStore;
  readonly signer: AttemptSigner;
  readonly guards: Readonly<Record<string, IntentGuard>>;
  readonly settings: SendSettings;
  readonly clock: Clock;
  readonly log: Log;
  /** What the log says of an intent. */
  readonly about: ReturnType<typeof describeIntent>;
  /** Where sending is traced. */
  readonly within: IntentScope | undefined;
  readonly mark: Mark;
  readonly waits: Waits;
  /** Something of ours reached the chain. */
  readonly onActivity: (chain: string) => void;
  /** A well-paid transaction of ours is in a block, so many milliseconds after its first byte left. */
  readonly onInclusion: (chain: string, ms: number) => void;
  /** While true nothing is signed and nothing sent, not even what was signed before. */
  readonly isHeld: () => Promise<boolean>;
  /** Gives what waits here without a nonce, and may be somebody else's, to other accounts of its pool. */
  readonly relieve: () => Promise<void>;
};

/** What a lane remembers between steps; thrown away and read anew after any failure. */
export type LaneMemory = {
  readonly flights: Map<number, Flight>;
  /** Nonces that intents have or had lately, as far as the chain may not have used them. */
  readonly taken: Set<number>;
  /** Transactions of the account that the chain has, when last asked. */
  chainNonce: number;
  /** Wei that the account had then. */
  balance: bigint;
  head: Block;
  /** Undefined before the first look. */
  finalHeight: bigint | undefined;
};

/** Flights in the order in which their transactions have to reach the chain. */
export const inNonceOrder = (memory: LaneMemory): Flight[] =>
  [...memory.flights.values()].sort((a, b) => a.nonce - b.nonce);

/** Runs work on items a few at a time, so that a long list does not flood an endpoint. */
export async function inChunks<T, R>(items: readonly T[], work: (item: T) => Promise<R>, size = 16): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += size) {
    results.push(...(await Promise.all(items.slice(at, at + size).map(work))));
  }
  return results;
}
