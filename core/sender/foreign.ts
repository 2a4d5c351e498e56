import type { ChainAccess } from "../chain/chain.ts";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";

/**
 * The transaction that used an account's nonce, if it is in a block up to `finalHeight`. The proof is the transaction
 * itself: a missing receipt proves nothing, nodes lag.
 */
export async function finalUserOfNonce(
  chain: Pick<ChainAccess, "name" | "account" | "transactions">,
  account: Hex,
  nonce: number,
  finalHeight: bigint,
): Promise<Hex | undefined> {
  const usedAt = async (height: bigint) => (await chain.account(account, height)).nonce > nonce;
  if (finalHeight < 0n || !(await usedAt(finalHeight))) return undefined;
  let used = finalHeight;
  let free = finalHeight - 1n;
  for (let step = 1n; free >= 0n && (await usedAt(free)); step *= 2n) {
    used = free;
    free -= step;
  }
  if (free < 0n) free = -1n;
  while (used - free > 1n) {
    const middle = (used + free) / 2n;
    if (await usedAt(middle)) used = middle;
    else free = middle;
  }
  const transactions = (await chain.transactions(used)) ?? [];
  const user = transactions.find((each) => each.nonce === nonce && each.from.toLowerCase() === account.toLowerCase());
  if (user !== undefined) return user.hash;
  throw new LockstepError("chain-answer-invalid", `${chain.name} does not show who used a nonce`, {
    details: { chain: chain.name, account, nonce, block: used },
  });
}
