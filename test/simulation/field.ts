import type { Hex } from "#core/kernel/codec.ts";
import type { LegName, SwapEvent } from "#swap/events.ts";
import type { Swap } from "#swap/swap.ts";
import type { Branch, ModelChain, ModelTransaction } from "./modelChain.ts";
import type { Effect, Lock } from "./modelContract.ts";
import { lockTermsOf } from "./modelPort.ts";
import type { Random } from "./random.ts";
import type { Scenario } from "./scenario.ts";

/** The world as somebody who is not the service has it: everything that is public, and its own transactions. */
export type Field = {
  readonly random: Random;
  readonly scenario: Scenario;
  now(): number;
  chain(leg: LegName): ModelChain;
  /** What the API shows; undefined before the swap is requested. */
  swap(): Swap | undefined;
  send(leg: LegName, effect: Effect, how?: { private?: boolean }): ModelTransaction;
  transaction(effect: Effect): ModelTransaction;
  /** False while the chain's bounds do not allow another one. */
  reorganise(leg: LegName, depth: number, branch?: Branch): boolean;
  halt(leg: LegName): boolean;
  /** The service dies at the next edge, unless it has just been dead. */
  crash(): void;
  hand(event: SwapEvent): void;
};

/** Something that is done once: called every second until it answers true. */
export type Move = () => boolean;

export const effects = (field: Field, leg: LegName) => {
  const { terms, hashlock, secret } = field.scenario;
  const own = lockTermsOf(terms[leg], hashlock);
  const id = terms[leg].lockId;
  return {
    id,
    terms: own,
    lock: (): Effect => ({ kind: "lock", id, terms: own }),
    claim: (): Effect => ({ kind: "claim", id, secret }),
    refund: (): Effect => ({ kind: "refund", id }),
  };
};

export const openLock = (field: Field, leg: LegName, at: "latest" | "final"): Lock | undefined => {
  const lock = field.chain(leg).stateAt(at).locks.get(field.scenario.terms[leg].lockId);
  return lock?.end === undefined ? lock : undefined;
};

export const isPublic = (field: Field): boolean =>
  (["source", "target"] as const).some((leg) => field.chain(leg).published().has(field.scenario.secret));

/** Blocks on top of the one that a transaction is in. */
export function ageOf(field: Field, leg: LegName, hash: Hex): number | undefined {
  const found = field.chain(leg).find(hash);
  const head = field.chain(leg).block("latest");
  return found && head && Number(head.number - found.block.number);
}
