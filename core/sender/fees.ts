import type { FeeEstimate, Fees } from "../chain/chain.ts";

/** Blocks that must pass without inclusion before a transaction is priced anew. */
export const blocksBeforeRaise = 2n;

/** Wei a gas that no transaction offers more than, unless configured otherwise: 500 gwei. */
export const defaultFeeCeiling = 500_000_000_000n;

/**
 * Wei a gas that a transaction offers at most which must be mined whatever it costs, where nobody knows what it is worth;
 * not without any bound, because a fee estimate is only what an endpoint says.
 */
export const urgentFeeCeiling = 20n * defaultFeeCeiling;

/** Gas of a transfer to an account without code. */
export const transferGas = 21_000n;

const least = (a: bigint, b: bigint) => (a < b ? a : b);
const most = (a: bigint, b: bigint) => (a > b ? a : b);
/** An eighth more, rounded up: over the tenth that nodes ask of a replacement, for both fees. */
const eighthMore = (fee: bigint) => (fee * 9n + 7n) / 8n;

/** The first price: the estimate, under the ceiling. */
export function firstFees(fresh: Fees, ceiling: bigint): Fees {
  const maxFeePerGas = least(fresh.maxFeePerGas, ceiling);
  return { maxFeePerGas, maxPriorityFeePerGas: least(fresh.maxPriorityFeePerGas, maxFeePerGas) };
}

/**
 * The next price of a transaction that is not mined: an eighth more or the fresh estimate, at most three times the old
 * one and never over the ceiling. Undefined when the ceiling leaves no room for a step that nodes accept.
 */
export function raiseFees(old: Fees, fresh: Fees, ceiling: bigint): Fees | undefined {
  const step = (before: bigint, now: bigint) => most(eighthMore(before), least(now, 3n * before));
  const maxFeePerGas = least(step(old.maxFeePerGas, fresh.maxFeePerGas), ceiling);
  const maxPriorityFeePerGas = least(step(old.maxPriorityFeePerGas, fresh.maxPriorityFeePerGas), maxFeePerGas);
  const accepted =
    maxFeePerGas >= eighthMore(old.maxFeePerGas) && maxPriorityFeePerGas >= eighthMore(old.maxPriorityFeePerGas);
  return accepted ? { maxFeePerGas, maxPriorityFeePerGas } : undefined;
}

/** True when no transaction under this ceiling can be in the next block: its base fee alone is as high. */
export const isTooDear = ({ market }: FeeEstimate, ceiling: bigint): boolean =>
  market !== undefined && ceiling <= market.nextBaseFee;

/**
 * True when a transaction would pay in the next block what nine of ten of the last twelve blocks stayed under: that it
 * is not mined has another cause than its price, and paying more would only cost more.
 */
export function offersEnough(fees: Fees, { market }: FeeEstimate): boolean {
  if (market === undefined) return false;
  return least(fees.maxFeePerGas, market.nextBaseFee + fees.maxPriorityFeePerGas) >= market.high;
}
