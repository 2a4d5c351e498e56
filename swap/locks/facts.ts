import type { IndexedBlock } from "#core/indexer/observer.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { AnyLock, LockPlace } from "../protocol/anyLock.ts";
import { hashlockOf } from "../protocol/hashlock.ts";
import { decodeAnyLockLog } from "../protocol/lockLogs.ts";

/** Where on a chain something was logged. */
type Logged = {
  readonly id: Hex;
  readonly block: bigint;
  readonly logIndex: number;
  readonly blockHash: Hex;
  readonly tx: Hex;
};

export type LockFact = Logged & { readonly lock: AnyLock };
/** `hashlock` is what the secret of a claim hashes to. */
export type EndFact = Logged &
  (
    | { readonly kind: "claimed"; readonly secret: Hex; readonly hashlock: Hex }
    | { readonly kind: "refunded"; readonly secret?: undefined; readonly hashlock?: undefined }
  );

export type LockFacts = { readonly locks: readonly LockFact[]; readonly ends: readonly EndFact[] };

/** What blocks say about locks. Throws `chain-answer-invalid` for a log that the contract cannot have emitted. */
export function lockFactsOf(blocks: readonly IndexedBlock[], place: LockPlace): LockFacts {
  const locks: LockFact[] = [];
  const ends: EndFact[] = [];
  for (const log of blocks.flatMap(({ logs }) => logs)) {
    if (log.address !== place.contract) continue;
    const found = decodeAnyLockLog(log, place);
    if (!found) continue;
    const { blockNumber: block, logIndex, blockHash, transactionHash: tx } = log;
    const at = { block, logIndex, blockHash, tx };
    if (found.kind === "locked") locks.push(...found.locks.map((each) => ({ ...at, ...each })));
    else if (found.kind === "refunded") ends.push({ ...at, ...found });
    else ends.push({ ...at, ...found, hashlock: hashlockOf(found.secret) });
  }
  return { locks, ends };
}
