import { saveScanned } from "#core/backup/hold.ts";
import type { BlockTransaction, ChainAccess } from "#core/chain/chain.ts";
import type { KeyStore } from "#core/chain/keys.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Adopted, Adoption } from "#core/sender/adopt.ts";

/** Blocks whose transactions are looked through before it is written down. */
const page = 256n;
/** Blocks that are asked for at a time. */
const together = 32;

/**
 * Looks through the blocks of a chain for what managed accounts did, and tells the sender. Blocks and not the state of
 * accounts, since most nodes keep no state of hours ago.
 */
export async function scanChain(
  deps: { adoption: Adoption; keyStore: Pick<KeyStore, "names" | "address">; restore: string },
  chain: ChainAccess,
  range: { readonly after: bigint; readonly to: bigint; readonly signal: AbortSignal },
  onPage: (found: Adopted, height: bigint) => void,
): Promise<void> {
  const ours = new Set(deps.keyStore.names().map((name) => deps.keyStore.address(name).toLowerCase()));
  for (let from = range.after + 1n; from <= range.to; from += page) {
    range.signal.throwIfAborted();
    const last = from + page - 1n < range.to ? from + page - 1n : range.to;
    const found = await transactionsIn(chain, from, last, (each) => ours.has(each.from.toLowerCase()));
    const adopted = await deps.adoption.adopt(chain, found, (tx) => saveScanned(tx, deps.restore, chain.name, last));
    onPage(adopted, last);
  }
}

async function transactionsIn(
  chain: ChainAccess,
  from: bigint,
  to: bigint,
  wanted: (transaction: BlockTransaction) => boolean,
): Promise<BlockTransaction[]> {
  const found: BlockTransaction[] = [];
  for (let at = from; at <= to; at += BigInt(together)) {
    const heights = Array.from({ length: together }, (_, index) => at + BigInt(index)).filter((height) => height <= to);
    for (const transactions of await Promise.all(heights.map((height) => read(chain, height)))) {
      found.push(...transactions.filter(wanted));
    }
  }
  return found;
}

async function read(chain: ChainAccess, height: bigint): Promise<BlockTransaction[]> {
  const transactions = await chain.transactions(height);
  if (transactions) return transactions;
  throw new LockstepError("chain-answer-invalid", `${chain.name} does not show the block ${height}`, {
    details: { chain: chain.name, block: height },
  });
}
