import type { z } from "zod";
import type { Queryable, Tx } from "../db/db.ts";

/** A context's event types: name in the past tense → schema of its data, which is also its codec to JSON. */
export type EventSchemas = Readonly<Record<string, z.ZodType>>;

/** The discriminated union of a context's events. */
export type EventOf<S extends EventSchemas> = { [K in keyof S & string]: { type: K; data: z.output<S[K]> } }[keyof S &
  string];

export type AnyEvent = { readonly type: string; readonly data: unknown };

export type StoredEvent<E extends AnyEvent = AnyEvent> = E & {
  /** Place in the one global order; without gaps that fill later. */
  readonly position: bigint;
  readonly stream: string;
  /** 1 for the first event of its stream. */
  readonly version: number;
  readonly at: Date;
};

export type Append<E extends AnyEvent = AnyEvent> = {
  readonly stream: string;
  /**
   * Version the stream must have (0 = must not exist). A mismatch throws `conflict` and nothing is written. `any` for
   * streams whose only writer is serialised elsewhere.
   */
  readonly expected: number | "any";
  readonly events: readonly E[];
};

/** A read model kept in the transaction of the events it reads, and rebuilt by replay. */
export type Projection = {
  readonly name: string;
  readonly handles: readonly string[];
  /** Tables that a rebuild empties first. */
  readonly tables: readonly string[];
  /** Columns of a table that others write too: when to look again is no matter of events. */
  readonly besides?: Readonly<Record<string, readonly string[]>>;
  apply(tx: Tx, events: readonly StoredEvent[]): Promise<void>;
};

/** Append-only streams with expected versions; many streams in one transaction. */
export type EventStore = {
  append(tx: Tx, appends: readonly Append[]): Promise<StoredEvent[]>;
  /**
   * The events of a stream in order; empty when there is none. Outside of transactions those of a stream that has left the
   * database too: its history, which has what other streams said of it as well.
   */
  load<E extends AnyEvent>(from: Queryable, stream: string): Promise<StoredEvent<E>[]>;
  /** As `load`, for many streams at once. Streams without events are absent. */
  loadMany<E extends AnyEvent>(from: Queryable, streams: readonly string[]): Promise<Map<string, StoredEvent<E>[]>>;
  /** The events at these positions, in order. */
  loadAt<E extends AnyEvent>(from: Queryable, positions: readonly bigint[]): Promise<StoredEvent<E>[]>;
  /** The first event of each stream; streams without events are absent. */
  loadFirst(from: Queryable, streams: readonly string[]): Promise<Map<string, StoredEvent>>;
  /** The positions of the oldest event that is kept and of the newest; 0 for both where there was never one. */
  bounds(): Promise<{ readonly first: bigint; readonly last: bigint }>;
  /** Events after a position in global order, without those of some types, never skipping one that commits late. */
  readAll(after: bigint, limit: number, except?: readonly string[]): Promise<StoredEvent[]>;
  /** Called (coalesced) after events were committed by any process; for waking up, not for data. */
  onAppended(wake: () => void): () => void;
  /** Empties a projection's tables and replays every event into it. */
  rebuild(projectionName: string): Promise<void>;
};
