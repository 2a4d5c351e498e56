import type { Block, ChainLog } from "../chain/chain.ts";
import type { Tx } from "../db/db.ts";
import type { Hex } from "../kernel/codec.ts";

export type IndexedBlock = { readonly block: Block; readonly logs: readonly ChainLog[] };

/**
 * What wants to know about a chain. All that get a `tx` run inside the transaction that moves the indexer's checkpoint, so
 * an observer's events and the checkpoint commit together; they only touch the database through `tx`.
 */
export type ChainObserver = {
  /** Contracts on that chain whose logs the observer wants. */
  addresses(chain: string): readonly Hex[];
  /**
   * The events, by selector, that the second look behind finality is for; all where this is left out. Those that are not
   * among them are such as `check` would miss; they are looked for all the same where it cannot be made.
   */
  secondLook?: readonly Hex[];
  /**
   * Canonical blocks that hold wanted logs, in order. May be shown twice. Throws `logs-missing` when logs of earlier
   * blocks were not shown, with the height from which on they may be missing as `details.after` (from the start without
   * it): they are read again, and blocks that were incomplete are shown, final ones too, before this one comes again.
   */
  included(tx: Tx, chain: string, blocks: readonly IndexedBlock[]): Promise<void>;
  /**
   * Every block above `ancestor` is no longer canonical. What replaces them follows as `included`. `deep`: blocks that
   * were said to be final are among them, and an operator has decided to go on all the same.
   */
  reorged(tx: Tx, chain: string, ancestor: bigint, deep: boolean): Promise<void>;
  /** Every block up to and including `height` is final. May be told again. */
  finalized(tx: Tx, chain: string, height: bigint): Promise<void>;
  /**
   * Compares what is recorded of a chain with what contracts there say of themselves at a final block. Runs outside any
   * transaction, at intervals. Throws `logs-missing` as `included` does when the two differ, and `start-block-too-high`
   * when what is missing is from before `start`, where reading began. False while another chain's indexer has to come
   * further before all can be compared.
   */
  check?(chain: string, final: bigint, start: bigint): Promise<boolean>;
};
