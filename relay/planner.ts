import { calldataCap, type DeliveryShape, deliverCalldataBytes, deliveryGas, transactionGasCap } from "./gas.ts";

/** A final message that waits for its first attempt. */
export type Candidate = { readonly nonce: bigint; readonly gasLimit: bigint; readonly payloadBytes: number };

export type BatchLimits = {
  readonly maxBatch: number;
  /** Sizes of the validator set, which every delivery brings along; all of them may have to sign. */
  readonly validators: number;
  /** Messages that the destination takes at the moment; undefined where it has no limit. */
  readonly available?: bigint | undefined;
  /** Deliveries of the first candidate that failed: each halves the batch, until whatever is at fault goes alone. */
  readonly failures?: number;
  /** Messages between the batch and the nonce that is signed, of which it brings the ids. */
  readonly later?: number;
};

/**
 * How many of the candidates, which follow each other without a gap, fit into one transaction: at most `maxBatch`,
 * 2^24 gas, 128 KiB and what the destination takes. At least one goes unless the destination takes none, because the
 * lanes' caps keep every single message below the others.
 */
export function planBatch(candidates: readonly Candidate[], limits: BatchLimits): number {
  const { maxBatch, available, failures = 0 } = limits;
  const patience = Math.max(1, Math.floor(maxBatch / 2 ** failures));
  const open = available === undefined || available > BigInt(maxBatch) ? maxBatch : Number(available);
  let low = Math.min(1, candidates.length, open);
  let high = Math.min(patience, candidates.length, open);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(candidates.slice(0, middle), limits)) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Whether a delivery of these messages can be sent at all. */
export function fits(messages: readonly Candidate[], { validators, later = 0 }: BatchLimits): boolean {
  const shape: DeliveryShape = { messages, validators, signatures: validators, laterIds: later };
  return deliveryGas(shape) <= transactionGasCap && deliverCalldataBytes(shape) <= calldataCap;
}

/** Those that follow each other without a gap, from `first` on. */
export function consecutive<T extends { readonly nonce: bigint }>(sorted: readonly T[], first: bigint): T[] {
  const start = sorted.findIndex(({ nonce }) => nonce === first);
  if (start < 0) return [];
  const run = sorted.slice(start);
  const gap = run.findIndex(({ nonce }, index) => nonce !== first + BigInt(index));
  return gap < 0 ? run : run.slice(0, gap);
}
