import type { Queryable, Tx } from "../db/db.ts";
import type { StoredEvent } from "../events/store.ts";
import type { Json } from "../kernel/json.ts";

/** What else an item is found by: its ids on chains. Of several items with one key that of the lowest rank is meant. */
export type ItemKey = { readonly key: string; readonly rank: number };

/** All that leaves the database of one thing that has ended. */
export type ArchiveItem = {
  readonly stream: string;
  /** The newest event of the stream: it must be so still when it leaves. */
  readonly version: number;
  /** Its history, what the events of other streams say of it included, in order. */
  readonly events: readonly StoredEvent[];
  readonly keys: readonly ItemKey[];
  /** Rows of other tables, for people: nothing reads them here. */
  readonly rows?: Json;
};

/** A stream whose newest event is old. */
export type OldStream = { readonly stream: string; readonly version: number };

/** A kind of things that can leave the database once they have ended, each with a stream of its own. */
export type ArchiveKind = {
  readonly kind: string;
  /** What the names of its streams begin with. */
  readonly prefix: string;
  /** How long its newest event has been there before it leaves, in milliseconds. */
  readonly keptMs: number;
  /** Of the streams, those that have ended for good. `upTo`: all that is looked at is from before this position. */
  collect(from: Queryable, streams: readonly OldStream[], upTo: bigint): Promise<readonly ArchiveItem[]>;
  /** Deletes what read models have of these; answers the streams of which that was as it had been collected. */
  remove(tx: Tx, items: readonly ArchiveItem[]): Promise<readonly string[]>;
  /** Deletes what belonged to things that have left together, such as events of them all. Answers how many. */
  tidy?(tx: Tx, upTo: bigint): Promise<number>;
};
