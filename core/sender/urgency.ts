import type { IntentRequest } from "./sender.ts";

/** What prices of a kind of urgent intents are bounded by, in wei a gas. */
export type UrgentCeilings = {
  /** The ceiling while the deadline is far. */
  readonly ordinary: bigint;
  /** The most for an effect whose worth is not known. */
  readonly unpriced: bigint;
  /** What an operator allows at most, whatever it is worth. */
  readonly most?: bigint;
};

/** How the price of an urgent intent may rise now, in wei a gas. */
export type Pressure = {
  /** What it may offer at most. Rises with time; never under the ordinary ceiling. */
  readonly ceiling: bigint;
  /** The deadline is near: the market is no bound any more, and a step is due with every block. */
  readonly near: boolean;
  /** The most that the effect is worth: up to there the market is outbid. */
  readonly top: bigint;
  /** Where a price of now should have risen to by now: itself while the deadline is far, `top` when it is close. */
  aim(fee: bigint): bigint;
};

/** Bounds on inclusion before the deadline at which the price begins to rise, and at which it may be at the top. */
const [begin, end] = [4n, 1n];

const most = (a: bigint, b: bigint) => (a > b ? a : b);
const least = (a: bigint, b: bigint) => (a < b ? a : b);

/**
 * How much an effect that is lost at its deadline may cost now. The rule: an honest party loses `worth` when the deadline
 * passes, so any price under `worth / gas` is better than that, but only once a market price had its chance. A well-paid
 * transaction is in a block within the chain's bound on inclusion I. Until 4·I before the deadline the intent is like any
 * other; from there to 1·I before it the price may double again and again, evenly over that time, up to the top, so that
 * one last bound on inclusion is left for the transaction that offers everything.
 *
 * A transaction follows with at most three times its price a block (`raiseFees`), so from a market price m it is at the
 * top in ⌈log₃(top / m)⌉ blocks: 9 for 100 coins and 300,000 gas at 30 gwei. If every other block only were stepped at,
 * as for anything else, that were 18. 3·I has to hold that many blocks, or the top is reached later than 1·I before the
 * deadline.
 *
 * Times are in milliseconds, `gas` is what the worth has to pay for.
 */
export function pressureOf(
  { by, worth }: NonNullable<IntentRequest["urgency"]>,
  { gas, ceilings, now, inclusionMs }: { gas: bigint; ceilings: UrgentCeilings; now: number; inclusionMs: number },
): Pressure {
  const value = worth === undefined ? ceilings.unpriced : worth / gas;
  const top = ceilings.most === undefined ? value : least(value, ceilings.most);
  const left = by * 1_000n - BigInt(Math.floor(now));
  const bound = BigInt(Math.ceil(inclusionMs));
  const aim = (fee: bigint) => risen(fee, top, left, bound);
  return { ceiling: aim(ceilings.ordinary), near: left < begin * bound, top, aim };
}

/** From `from` to `top` by doublings, spread evenly over the time that prices rise in; never less than `from`. */
function risen(from: bigint, top: bigint, left: bigint, bound: bigint): bigint {
  if (left >= begin * bound || top <= from) return from;
  if (left <= end * bound) return top;
  const doublings = BigInt((top / most(from, 1n)).toString(2).length);
  const still = ((left - end * bound) * doublings) / ((begin - end) * bound);
  return most(from, top >> still);
}
