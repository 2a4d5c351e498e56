import { calldataCap, deliverCalldataBytes, deliveryGas, transactionGasCap } from "./gas.ts";

/** A final message that waits for its first attempt. */
export type Candidate = { readonly nonce: bigint; readonly gasLimit: bigint; readonly payloadBytes: number };

export type BatchLimits = {
  readonly maxBatch: number;
  /** Sizes of the validator set, which every delivery brings along; all of them may have to sign. */
  readonly validators: number;
};

/**
 * How many of the candidates, which follow each other without a gap, fit into one transaction: at most `maxBatch`,
 * 2^24 gas and 128 KiB. At least one always goes, because the lanes' caps keep every single message below these.
 */
export function planBatch(candidates: readonly Candidate[], { maxBatch, validators }: BatchLimits): number {
  const fits = (count: number): boolean => {
    const shape = { messages: candidates.slice(0, count), validators, signatures: validators, laterIds: 0 };
    return deliveryGas(shape) <= transactionGasCap && deliverCalldataBytes(shape) <= calldataCap;
  };
  let low = Math.min(1, candidates.length);
  let high = Math.min(maxBatch, candidates.length);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Those that follow each other without a gap, from `first` on. */
export function consecutive<T extends { readonly nonce: bigint }>(sorted: readonly T[], first: bigint): T[] {
  const start = sorted.findIndex(({ nonce }) => nonce === first);
  if (start < 0) return [];
  const run = sorted.slice(start);
  const gap = run.findIndex(({ nonce }, index) => nonce !== first + BigInt(index));
  return gap < 0 ? run : run.slice(0, gap);
}
