import type { z } from "zod";
import type { Fees } from "./chain.ts";
import type { wireFeeHistory } from "./wire.ts";

/** Blocks that the estimate looks back. */
export const feeHistoryBlocks = 4;

/** Wei a gas that a proposer gets even where recent blocks were empty and paid nothing. */
const leastPriorityFee = 1_000_000n;

/**
 * Fees that stand six full blocks of rising base fee (1.125^6 ≈ 2), with the best of the recent median tips.
 * Wei per gas.
 */
export function estimateFees(history: z.output<typeof wireFeeHistory>): Fees {
  const next = history.baseFeePerGas.at(-1) ?? 0n;
  const maxPriorityFeePerGas = (history.reward ?? [])
    .flat()
    .reduce((best, tip) => (tip > best ? tip : best), leastPriorityFee);
  return { maxFeePerGas: 2n * next + maxPriorityFeePerGas, maxPriorityFeePerGas };
}
