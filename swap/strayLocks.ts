import type { Tx } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type LegName, type SwapEvent, swapStream } from "./events.ts";
import { lockIdOf } from "./legCalls.ts";
import { lockerOf, managed } from "./parties.ts";
import type { AnyLock } from "./protocol/anyLock.ts";
import type { SwapIndex } from "./readModel.ts";
import { foldSwap, type Swap } from "./swap.ts";

/** A lock that a log has shown, and where it was one of a batch, the ids of all its entries. */
export type ShownLock = { readonly id: Hex; readonly lock: AnyLock; readonly leaves: readonly Hex[] };

/** A leg whose lock is elsewhere than the swap has it, and the event that says so. */
export type StrayLock = { readonly swapId: string; readonly leg: LegName; readonly placed: SwapEvent };

const legNames: readonly LegName[] = ["source", "target"];

/**
 * Of locks that are under no id of a leg those that have a leg's terms all the same: a managed account locked it in a batch,
 * or by itself again, and that it was to be there was lost with a database. Without this the leg would be locked again.
 */
export async function findStrayLocks(
  deps: { store: EventStore; index: SwapIndex },
  tx: Tx,
  chain: string,
  shown: readonly ShownLock[],
): Promise<ReadonlyMap<Hex, StrayLock>> {
  const ids = await deps.index.byHashlock(tx, [...new Set(shown.map(({ lock }) => lock.terms.hashlock))]);
  if (ids.size === 0) return new Map();
  const streams = await deps.store.loadMany<SwapEvent>(tx, [...ids.values()].map(swapStream));
  const found = new Map<Hex, StrayLock>();
  for (const each of shown) {
    const swap = foldSwap(streams.get(swapStream(ids.get(each.lock.terms.hashlock) ?? "")) ?? []);
    const leg = swap && legNames.find((name) => isOf(swap, name, chain, each));
    if (swap && leg) found.set(each.id, { swapId: swap.id, leg, placed: placedAt(leg, each) });
  }
  return found;
}

/** The id hashes all terms, the sender's address among them, so nobody else can have made such a lock. */
function isOf(swap: Swap, leg: LegName, chain: string, shown: ShownLock): boolean {
  const { batch: _before, ...terms } = swap.terms[leg];
  if (terms.chain !== chain || swap.legs[leg].lock || managed(swap[lockerOf(leg)]) === undefined) return false;
  const batch = batchOf(shown);
  return lockIdOf({ ...terms, ...(batch && { batch }) }, swap.hashlock) === shown.id;
}

const batchOf = ({ lock, leaves }: ShownLock) => (lock.kind === "leaf" ? { index: lock.index, leaves } : undefined);

function placedAt(leg: LegName, shown: ShownLock): SwapEvent {
  const batch = batchOf(shown);
  const data = { leg, lockId: shown.id, ...(batch && { batch: { ...batch, leaves: [...batch.leaves] } }) };
  return { type: "LegPlaced", data };
}
