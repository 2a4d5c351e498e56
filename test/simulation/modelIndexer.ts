import type { Db, Tx } from "#core/db/db.ts";
import type { ChainObserver, IndexedBlock } from "#core/indexer/observer.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { ModelChain } from "./modelChain.ts";

/** Where a chain was read up to, with the hashes on the way there; outlives the process. */
export type Checkpoint = { hashes: Hex[]; final: bigint };

/** One look at a chain: what is gone, what is new, what is final. Each is a transaction, so a process can die between. */
export async function follow(parts: {
  chain: ModelChain;
  checkpoint: Checkpoint;
  observer: ChainObserver;
  db: Db;
  stage(tx: Tx, write: () => void): void;
  /** The newest height that is believed to be final. */
  finalOf(chain: ModelChain): bigint;
}): Promise<void> {
  const { chain, checkpoint, observer, db, stage, finalOf } = parts;
  const { hashes } = checkpoint;
  let ancestor = hashes.length - 1;
  while (ancestor >= 0 && chain.block(BigInt(ancestor))?.hash !== hashes[ancestor]) ancestor -= 1;
  if (ancestor < hashes.length - 1) {
    await db.tx(async (tx) => {
      await observer.reorged(tx, chain.name, BigInt(ancestor), false);
      stage(tx, () => {
        checkpoint.hashes = hashes.slice(0, ancestor + 1);
      });
    });
  }
  const head = Number(chain.block("latest")?.number ?? 0n);
  const blocks: IndexedBlock[] = [];
  for (let height = ancestor + 1; height <= head; height++) {
    const block = chain.block(BigInt(height));
    if (block) blocks.push({ block, logs: chain.logsOf(block.number) });
  }
  if (blocks.length > 0) {
    await db.tx(async (tx) => {
      const wanted = blocks.filter(({ logs }) => logs.length > 0);
      if (wanted.length > 0) await observer.included(tx, chain.name, wanted);
      stage(tx, () => void checkpoint.hashes.push(...blocks.map(({ block }) => block.hash)));
    });
  }
  const final = finalOf(chain);
  if (final === checkpoint.final && blocks.length === 0) return;
  await db.tx(async (tx) => {
    await observer.finalized(tx, chain.name, final < BigInt(head) ? final : BigInt(head));
    stage(tx, () => {
      checkpoint.final = final;
    });
  });
}
