/** Most nonces that are filled at a time. */
const mostGaps = 16;
/** How many nonces below the chain's own are remembered. */
const remembered = 1_024;

/**
 * The next nonces of an account: the lowest that neither the chain has used (`chainNonce` counts those) nor an intent
 * has taken. Normally that is the run after the highest taken one; a gap, which would block everything above it for
 * ever, is filled first.
 */
export function allocateNonces(chainNonce: number, taken: ReadonlySet<number>, count: number): number[] {
  const nonces: number[] = [];
  for (let nonce = chainNonce; nonces.length < count; nonce++) if (!taken.has(nonce)) nonces.push(nonce);
  return nonces;
}

/**
 * Drops nonces far below what the chain has used, which nobody will be given any more. Those a little below stay: a node
 * that lags shows the account as it was some transactions ago.
 */
export function forgetOld(taken: Set<number>, chainNonce: number, isOpen: (nonce: number) => boolean): void {
  if (taken.size <= 2 * remembered) return;
  for (const nonce of taken) if (nonce < chainNonce - remembered && !isOpen(nonce)) taken.delete(nonce);
}

/** Nonces that the account's other transactions wait for and none of them has, lowest first. */
export function gapsBelow(chainNonce: number, open: readonly number[]): number[] {
  const lowest = open.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  if (lowest === Number.POSITIVE_INFINITY || lowest <= chainNonce) return [];
  return Array.from({ length: Math.min(lowest - chainNonce, mostGaps) }, (_, index) => chainNonce + index);
}
