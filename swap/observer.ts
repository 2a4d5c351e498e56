import type { Tx } from "#core/db/db.ts";
import type { Append, EventStore, StoredEvent } from "#core/events/store.ts";
import type { ChainObserver, IndexedBlock } from "#core/indexer/observer.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { SwapChain, SwapChains } from "./chains.ts";
import { type LegName, type SwapEvent, swapStream } from "./events.ts";
import type { LockPlace } from "./protocol/anyLock.ts";
import { hashlockOf } from "./protocol/hashlock.ts";
import { anyLockSelectors, decodeAnyLockLog } from "./protocol/lockLogs.ts";
import type { SwapIndex } from "./readModel.ts";
import { findStrayLocks, type ShownLock } from "./strayLocks.ts";
import { foldSwap, type Leg, type Sighting, type Swap } from "./swap.ts";

const legNames: readonly LegName[] = ["source", "target"];

type Fact = Sighting &
  (({ kind: "locked" } & ShownLock) | { kind: "refunded"; id: Hex } | { kind: "claimed"; id: Hex; secret: Hex });

/**
 * Turns what the timelock contracts emit into events of the swaps they belong to. Locks are matched by their on-chain id
 * alone, which hashes all terms: a foreign lock with the same hashlock has another id and is nobody's here. A lock that a
 * managed account made elsewhere than the swap knows is found by its terms.
 */
export function createSwapObserver(deps: { store: EventStore; chains: SwapChains; index: SwapIndex }): ChainObserver {
  /** A chain that was just removed must not be read past what nobody would record: the last step of its indexer fails. */
  function requireChain(name: string): SwapChain {
    const found = deps.chains.find(name);
    if (found) return found;
    throw new LockstepError("conflict", `the chain ${name} was removed`, { details: { chain: name } });
  }

  return {
    addresses: (chain) => [requireChain(chain).timelockContract],
    secondLook: [...anyLockSelectors],
    async included(tx, chain, blocks) {
      const { chain: access, timelockContract: contract } = requireChain(chain);
      const facts = factsOf(blocks, { chainId: access.chainId, contract });
      const legs = await deps.index.legsByLockId(
        tx,
        chain,
        facts.map((fact) => fact.id),
      );
      const unknown = facts.filter((fact) => fact.kind === "locked" && !legs.has(fact.id)) as (Fact & ShownLock)[];
      const strays = await findStrayLocks(deps, tx, chain, unknown);
      const bySwap = new Map<string, { leg: LegName; fact: Fact }[]>();
      for (const fact of facts) {
        const row = legs.get(fact.id) ?? strays.get(fact.id);
        if (row) bySwap.set(row.swapId, [...(bySwap.get(row.swapId) ?? []), { leg: row.leg, fact }]);
      }
      await appendEach(deps.store, tx, [...bySwap.keys()], (swap) => {
        return newsOf(swap, bySwap.get(swap.id) ?? []).flatMap(({ leg, fact }) => {
          const stray = fact.kind === "locked" && strays.get(fact.id);
          return [...(stray ? [stray.placed] : []), eventOf(leg, fitting(swap, fact))];
        });
      });
    },
    async reorged(tx, chain, ancestor, deep) {
      const ids = deep
        ? await deps.index.above(tx, chain, ancestor)
        : await deps.index.unfinal(tx, chain, ancestor, "above");
      await appendEach(deps.store, tx, ids, (swap) =>
        legNames
          .filter((leg) => swap.terms[leg].chain === chain)
          .flatMap((leg) => undone(leg, swap.legs[leg], ancestor)),
      );
    },
    async finalized(tx, chain, height) {
      await appendEach(deps.store, tx, await deps.index.unfinal(tx, chain, height, "upTo"), (swap) =>
        legNames
          .filter((leg) => swap.terms[leg].chain === chain)
          .flatMap((leg) => finalized(leg, swap.legs[leg], height)),
      );
    },
  };
}

async function appendEach(
  store: EventStore,
  tx: Tx,
  swapIds: readonly string[],
  news: (swap: Swap) => SwapEvent[],
): Promise<void> {
  if (swapIds.length === 0) return;
  const streams = await store.loadMany<SwapEvent>(tx, swapIds.map(swapStream));
  const appends: Append[] = [];
  for (const [stream, events] of streams) {
    const swap = foldSwap(events as readonly StoredEvent<SwapEvent>[]);
    const found = swap ? news(swap) : [];
    if (swap && found.length > 0) appends.push({ stream, expected: swap.version, events: found });
  }
  if (appends.length > 0) await store.append(tx, appends);
}

/** In the order in which they came, so that a lock stands before its end. */
function factsOf(blocks: readonly IndexedBlock[], place: LockPlace): Fact[] {
  return blocks.flatMap(({ block, logs }) =>
    logs
      .filter(({ address }) => address === place.contract)
      .flatMap((log): Fact[] => {
        const { blockNumber, blockHash, transactionHash } = log;
        const where = { blockNumber, blockHash, transactionHash, at: block.timestamp };
        const found = decodeAnyLockLog(log, place);
        if (!found) return [];
        if (found.kind !== "locked") return [{ ...where, ...found }];
        const leaves = found.locks.map(({ id }) => id);
        return found.locks.map((each) => ({ ...where, kind: "locked" as const, ...each, leaves }));
      }),
  );
}

/**
 * Blocks may be shown twice (a restart, a reorganisation that kept the transaction); facts are kept once. What comes
 * after a leg's end is another lock of the same terms, by a sender who gives away what the swap does not ask for.
 */
function newsOf(swap: Swap, facts: readonly { leg: LegName; fact: Fact }[]): { leg: LegName; fact: Fact }[] {
  const ended = new Set(legNames.filter((leg) => swap.legs[leg].lock && swap.legs[leg].end));
  return facts.filter(({ leg, fact }) => {
    if (ended.has(leg)) return false;
    if (fact.kind !== "locked") {
      const { end } = swap.legs[leg];
      ended.add(leg);
      return end === undefined || isElsewhere(end, fact);
    }
    const { lock } = swap.legs[leg];
    return lock === undefined || isElsewhere(lock, fact);
  });
}

const isElsewhere = (seen: Sighting, fact: Fact): boolean =>
  seen.blockHash !== fact.blockHash || seen.transactionHash !== fact.transactionHash;

/** The contract shows no other secret, so a log that does was made up; nothing of such an answer is taken. */
function fitting(swap: Swap, fact: Fact): Fact {
  if (fact.kind !== "claimed" || hashlockOf(fact.secret) === swap.hashlock) return fact;
  throw new LockstepError("chain-answer-invalid", "a claim was shown with a secret that does not fit its hashlock", {
    details: { swap: swap.id, transaction: fact.transactionHash },
  });
}

function eventOf(leg: LegName, fact: Fact): SwapEvent {
  const { blockNumber, blockHash, transactionHash, at } = fact;
  const data = { leg, blockNumber, blockHash, transactionHash, at };
  switch (fact.kind) {
    case "locked":
      return { type: "LegDetected", data };
    case "claimed":
      return { type: "LegClaimed", data: { ...data, secret: fact.secret } };
    case "refunded":
      return { type: "LegRefunded", data };
  }
}

/** Nothing above the ancestor is there any more, whether it was final or not. */
function undone(name: LegName, leg: Leg, ancestor: bigint): SwapEvent[] {
  const events: SwapEvent[] = [];
  if (leg.end && leg.end.blockNumber > ancestor) {
    const what = leg.end.kind === "claimed" ? "claim" : "refund";
    events.push({ type: "LegReorged", data: { leg: name, undone: what, ancestor } });
  }
  if (leg.lock && leg.lock.blockNumber > ancestor) {
    events.push({ type: "LegReorged", data: { leg: name, undone: "lock", ancestor } });
  }
  return events;
}

function finalized(name: LegName, leg: Leg, finalHeight: bigint): SwapEvent[] {
  const events: SwapEvent[] = [];
  if (leg.lock && !leg.lockFinal && leg.lock.blockNumber <= finalHeight) {
    events.push({ type: "LegLocked", data: { leg: name, finalHeight } });
  }
  if (leg.end && !leg.endFinal && leg.end.blockNumber <= finalHeight) {
    const type = leg.end.kind === "claimed" ? "LegClaimFinalized" : "LegRefundFinalized";
    events.push({ type, data: { leg: name, finalHeight } });
  }
  return events;
}
