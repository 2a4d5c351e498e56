import type { Hex } from "#core/kernel/codec.ts";
import type { AnyLock } from "../protocol/anyLock.ts";

/** Where something was seen on a chain, and whether that block is final. */
export type LedgerSighting = {
  readonly transactionHash: Hex;
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  readonly final: boolean;
};

/** A lock as the ledger has it. */
export type LedgerLock = {
  /** Rises with every lock that is recorded. */
  readonly seq: bigint;
  readonly chain: string;
  readonly id: Hex;
  readonly lock: AnyLock;
  readonly seen: LedgerSighting;
  readonly end?: LedgerSighting & { readonly kind: "claimed" | "refunded"; readonly secret?: Hex };
};

/** Numerics come as text. */
export type LockRow = {
  readonly seq: bigint;
  readonly chain: string;
  readonly lock_id: Hex;
  readonly kind: AnyLock["kind"];
  readonly block: bigint;
  readonly block_hash: Hex;
  readonly tx: Hex;
  readonly sender: Hex;
  readonly recipient: Hex;
  readonly token: Hex;
  readonly token_id: string | null;
  readonly amount: string;
  readonly hashlock: Hex;
  readonly timelock: string;
  readonly tip: string;
  readonly batch_root: Hex | null;
  readonly leaf_index: number | null;
  readonly final: bigint | null;
  readonly end_kind: "claimed" | "refunded" | null;
  readonly end_block: bigint | null;
  readonly end_block_hash: Hex | null;
  readonly end_tx: Hex | null;
  readonly secret: Hex | null;
};

/** The rows that `lockOf` reads, of locks `l`. */
export const lockSelect = `
  select l.seq, l.chain, l.lock_id, l.kind, l.block, l.block_hash, l.tx, l.sender, l.recipient, l.token,
         l.token_id::text as token_id, l.amount::text as amount, l.hashlock, l.timelock::text as timelock,
         l.tip::text as tip, l.batch_root, l.leaf_index, h.final, l.end_kind, l.end_block,
         e.block_hash as end_block_hash, e.tx as end_tx, e.secret
    from lock_ledger l
    left join lock_heights h on h.chain = l.chain
    left join lock_ends e on e.chain = l.chain and e.lock_id = l.lock_id and e.block = l.end_block
      and e.log_index = l.end_log_index`;

export function lockOf(row: LockRow): LedgerLock {
  const final = (block: bigint) => row.final !== null && block <= row.final;
  const seen = { transactionHash: row.tx, blockNumber: row.block, blockHash: row.block_hash, final: final(row.block) };
  const base = { seq: row.seq, chain: row.chain, id: row.lock_id, lock: anyLockOf(row), seen };
  if (!row.end_kind || row.end_block === null || !row.end_tx || !row.end_block_hash) return base;
  const end = {
    ...{ kind: row.end_kind, transactionHash: row.end_tx, blockNumber: row.end_block, blockHash: row.end_block_hash },
    final: final(row.end_block),
    ...(row.secret && { secret: row.secret }),
  };
  return { ...base, end };
}

function anyLockOf(row: LockRow): AnyLock {
  const { kind, sender, recipient, token, hashlock } = row;
  const numbers = { amount: BigInt(row.amount), timelock: BigInt(row.timelock), tip: BigInt(row.tip) };
  const terms = { sender, recipient, token, hashlock, ...numbers };
  switch (kind) {
    case "payment":
      return { kind, terms };
    case "item":
      return { kind, terms: { ...terms, tokenId: BigInt(row.token_id ?? 0) } };
    case "leaf":
      return { kind, terms, root: row.batch_root ?? "0x", index: row.leaf_index ?? 0 };
  }
}
