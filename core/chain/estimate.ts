import type { z } from "zod";
import type { FeeEstimate } from "./chain.ts";
import type { wireFeeHistory } from "./wire.ts";

/** Blocks that the estimate looks back. */
export const feeHistoryBlocks = 12;

/** Percentiles of tips, by gas used, that are asked for: what is usual, and what nine of ten stay under. */
export const feePercentiles = [50, 90] as const;

/** The newest of them decide about the tip, so that an old peak is not paid for. */
const tipBlocks = 4;

/** Wei a gas that a proposer gets even where recent blocks were empty and paid nothing. */
const leastPriorityFee = 1_000_000n;

/**
 * Fees that stand six full blocks of rising base fee (1.125^6 ≈ 2), with the best of the recent median tips, and what
 * the last blocks were paid. Wei per gas.
 */
export function estimateFees({ baseFeePerGas, reward = [] }: z.output<typeof wireFeeHistory>): FeeEstimate {
  const nextBaseFee = baseFeePerGas.at(-1) ?? 0n;
  const usual = reward.slice(-tipBlocks).map((tips) => tips[0] ?? 0n);
  const maxPriorityFeePerGas = usual.reduce(greater, leastPriorityFee);
  const paid = reward.map((tips, block) => (baseFeePerGas[block] ?? 0n) + (tips.at(-1) ?? 0n));
  const high = greater(percentile(paid, 90), nextBaseFee + maxPriorityFeePerGas);
  return { maxFeePerGas: 2n * nextBaseFee + maxPriorityFeePerGas, maxPriorityFeePerGas, market: { nextBaseFee, high } };
}

/** The smallest of the values that `percent` of them do not exceed; 0 of none. */
function percentile(values: readonly bigint[], percent: number): bigint {
  const sorted = [...values].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  return sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? 0n;
}

const greater = (a: bigint, b: bigint) => (a > b ? a : b);
