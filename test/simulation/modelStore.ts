import type { Db, Tx } from "#core/db/db.ts";
import type { AnyEvent, Append, EventStore, StoredEvent } from "#core/events/store.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type LegName, type SwapEvent, swapStream } from "#swap/events.ts";
import type { SwapIndex } from "#swap/readModel.ts";
import { foldSwap, type Swap } from "#swap/swap.ts";

/** A place where the process may die or time may pass: before and after whatever is durable or leaves the process. */
export type Edge = (what: string) => Promise<void>;

type ModelTx = Tx & { readonly staged: (() => void)[] };

/** What outlives the process: events, and when swaps are looked at. */
export type ModelStore = {
  readonly db: Db;
  readonly store: EventStore;
  readonly index: SwapIndex;
  /** Writes together with what else is in the transaction. */
  stage(tx: Tx, write: () => void): void;
  swaps(): Swap[];
  /** Writes what somebody handed in, at once. */
  record(stream: string, event: SwapEvent): void;
  eventsOf(stream: string): readonly StoredEvent<SwapEvent>[];
};

/** What may be done to the model from outside; `view` is what a flawed service makes of stored events. */
type Hooks = {
  now(): number;
  edge: Edge;
  written(event: SwapEvent): void;
  view?: ((events: readonly StoredEvent<SwapEvent>[]) => readonly StoredEvent<SwapEvent>[]) | undefined;
};

const legNames: readonly LegName[] = ["source", "target"];
/** As `swapProjection` has it: a swap that changed is looked at soon even if its job is lost. */
const lostJobMs = 2_000;

export function createModelStore({ now, edge, written, view = (events) => events }: Hooks): ModelStore {
  const streams = new Map<string, StoredEvent<SwapEvent>[]>();
  const folded = new Map<string, { version: number; swap: Swap }>();
  const dueAt = new Map<string, number>();
  let position = 0n;

  const stage = (tx: Tx, write: () => void) => void (tx as ModelTx).staged.push(write);
  const query = () => Promise.reject(new Error("a model has no tables"));
  const db = {
    query,
    async tx<T>(work: (tx: Tx) => Promise<T>): Promise<T> {
      const tx: ModelTx = { kind: "tx", query, staged: [], afterCommit: () => undefined };
      const result = await work(tx);
      await edge("before commit");
      for (const write of tx.staged) write();
      await edge("after commit");
      return result;
    },
  } as unknown as Db;

  const versionOf = (stream: string) => streams.get(stream)?.length ?? 0;
  const load = (stream: string) => view(streams.get(stream) ?? []);

  function write(stream: string, event: AnyEvent): void {
    position += 1n;
    const version = versionOf(stream) + 1;
    const stored = { ...event, position, stream, version, at: new Date(now()) } as StoredEvent<SwapEvent>;
    streams.set(stream, [...(streams.get(stream) ?? []), stored]);
    const due = now() + lostJobMs;
    dueAt.set(stream, Math.min(dueAt.get(stream) ?? due, due));
    written(stored);
  }

  const store = {
    async append(tx: Tx, appends: readonly Append[]) {
      for (const { stream, expected } of appends) {
        const before = versionOf(stream);
        if (expected !== "any" && before !== expected) throw new LockstepError("conflict", `${stream} is at ${before}`);
      }
      stage(tx, () => {
        for (const { stream, expected, events } of appends) {
          // Nothing else was committed meanwhile: a transaction of the model waits for nothing.
          if (expected !== "any" && versionOf(stream) !== expected) throw new LockstepError("conflict", stream);
          for (const event of events) write(stream, event);
        }
      });
      return [];
    },
    load: async (_from: unknown, stream: string) => load(stream),
    loadMany: async (_from: unknown, wanted: readonly string[]) =>
      new Map(wanted.flatMap((stream) => (streams.has(stream) ? [[stream, load(stream)] as const] : []))),
  } as unknown as EventStore;

  const swaps = () =>
    [...streams.keys()].flatMap((stream) => {
      const version = versionOf(stream);
      const known = folded.get(stream);
      if (known?.version === version) return [known.swap];
      const swap = foldSwap(load(stream));
      if (!swap) return [];
      folded.set(stream, { version, swap });
      return [swap];
    });
  const withLeg = (holds: (swap: Swap, leg: LegName) => boolean) =>
    swaps().flatMap((swap) => (legNames.some((leg) => holds(swap, leg)) ? [swap.id] : []));

  const index: SwapIndex = {
    legsByLockId: async (_from, chain, lockIds) =>
      new Map(
        swaps().flatMap((swap) =>
          legNames.flatMap((leg) => {
            const { chain: own, lockId } = swap.terms[leg];
            return own === chain && lockIds.includes(lockId) ? [[lockId, { swapId: swap.id, leg }] as const] : [];
          }),
        ),
      ),
    byHashlock: async (_from, hashlocks) =>
      new Map(swaps().flatMap(({ id, hashlock }) => (hashlocks.includes(hashlock) ? [[hashlock, id] as const] : []))),
    unfinal: async (_from, chain, height, side) => {
      const fits = (block: bigint | undefined) =>
        block !== undefined && (side === "above" ? block > height : block <= height);
      return withLeg((swap, leg) => {
        const { lock, lockFinal, end, endFinal } = swap.legs[leg];
        if (swap.terms[leg].chain !== chain) return false;
        return (fits(lock?.blockNumber) && !lockFinal) || (fits(end?.blockNumber) && !endFinal);
      });
    },
    above: async (_from, chain, height) =>
      withLeg((swap, leg) => {
        const { lock, end } = swap.legs[leg];
        if (swap.terms[leg].chain !== chain) return false;
        return (lock?.blockNumber ?? 0n) > height || (end?.blockNumber ?? 0n) > height;
      }),
    async schedule({ id, version }, at) {
      const stream = swapStream(id);
      if (versionOf(stream) !== version) return;
      if (at) dueAt.set(stream, at.getTime());
      else dueAt.delete(stream);
    },
    async postpone(id, at) {
      dueAt.set(swapStream(id), at.getTime());
    },
    due: async (at) =>
      [...dueAt].flatMap(([stream, due]) => (due <= at.getTime() ? [stream.slice("swap-".length)] : [])),
  };
  return { db, store, index, stage, swaps, record: write, eventsOf: (stream) => streams.get(stream) ?? [] };
}
