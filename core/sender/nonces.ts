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

/** The nonce that the account's other transactions wait for, when none of them has it. */
export function firstGap(chainNonce: number, open: readonly number[]): number | undefined {
  return open.length > 0 && open.every((nonce) => nonce > chainNonce) ? chainNonce : undefined;
}
