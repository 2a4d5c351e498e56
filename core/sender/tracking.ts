import type { Block, Receipt } from "../chain/chain.ts";
import type { Hex } from "../kernel/codec.ts";
import { inChunks, inNonceOrder, type LaneContext, type LaneMemory } from "./context.ts";
import { type Flight, givesWay, sight } from "./flight.ts";
import { finalUserOfNonce } from "./foreign.ts";
import { forgetOld } from "./nonces.ts";
import { eventsOf, type Outcome, saveOutcomes } from "./outcomes.ts";

export type Tracking = {
  /**
   * Reads the head and, if it or finality moved or something was just sent, what became of the flights. True if it
   * moved.
   */
  look(memory: LaneMemory, justSent: boolean): Promise<boolean>;
  /** Frees an intent whose nonce a foreign transaction has for good. True if it did. */
  resolveUsed(memory: LaneMemory, flight: Flight): Promise<boolean>;
};

const secondMs = 1_000;
/** From so many open transactions on it is asked first how far the chain is, so that not each is asked about. */
const askedOneByOne = 4;

export function createTracking(context: LaneContext): Tracking {
  const { chain, address, db, store, clock, log, waits } = context;

  async function record(memory: LaneMemory, changes: readonly { flight: Flight; outcome: Outcome }[]): Promise<void> {
    if (changes.length === 0) return;
    const outcomes = changes.map(({ outcome }) => outcome);
    await db.tx((tx) => saveOutcomes(tx, store, outcomes));
    for (const { flight, outcome } of changes) {
      apply(memory, flight, outcome);
      waits.forget(flight.intent.id);
    }
    forgetOld(memory.taken, memory.chainNonce, (nonce) => memory.flights.has(nonce));
    context.onActivity(chain.name);
  }

  /**
   * Tells how long well-paid transactions took. The block's own time counts where it is before now: that this process saw
   * it late is no delay of the chain. Other blocks than the head are asked for only where they make a difference, and
   * one at most.
   */
  async function timeInclusions(seen: readonly { flight: Flight; outcome: Outcome }[], head: Block): Promise<void> {
    const now = clock.now();
    const all = seen.flatMap(({ flight, outcome }) => {
      if (outcome.kind !== "included" && outcome.kind !== "finalized") return [];
      const from = flight.included === undefined ? flight.timed?.from : undefined;
      return from === undefined ? [] : [{ from, block: outcome.receipt.blockNumber }];
    });
    const late = all.filter(({ from, block }) => block !== head.number && now - from > secondMs);
    const [first] = late.toSorted((a, b) => a.from - b.from);
    const other = first && (await chain.block(first.block).catch(() => undefined));
    for (const { from, block } of all) {
      const its = [head, other].find((each) => each?.number === block);
      // Blocks have whole seconds: it may have come at the end of its own.
      const minedBy = its === undefined ? now : Math.min(now, (Number(its.timestamp) + 1) * secondMs);
      if (its !== undefined || now - from <= secondMs) context.onInclusion(chain.name, Math.max(0, minedBy - from));
    }
  }

  async function receiptsOf(flights: readonly Flight[]): Promise<Map<Hex, Receipt>> {
    const hashes = flights.flatMap(({ attempts }) => attempts.map(({ hash }) => hash));
    const found = await inChunks(hashes, (hash) => chain.receipt(hash));
    return new Map(found.flatMap((receipt) => (receipt === undefined ? [] : [[receipt.transactionHash, receipt]])));
  }

  /** Those whose receipts can be new: what the chain's nonce has not come to is in no block. */
  async function reached(memory: LaneMemory, flights: readonly Flight[]): Promise<readonly Flight[]> {
    if (flights.length <= askedOneByOne) return flights;
    const { nonce, balance } = await chain.account(address);
    memory.chainNonce = nonce;
    memory.balance = balance;
    return flights.filter((flight) => flight.nonce < nonce);
  }

  /** True unless everything that was in a block up to the old head is there still. */
  async function reorganised(old: Block, head: Block): Promise<boolean> {
    if (head.hash === old.hash || head.parentHash === old.hash) return false;
    return head.number <= old.number || (await chain.block(old.number))?.hash !== old.hash;
  }

  return {
    async look(memory, justSent) {
      const [latest, final] = await Promise.all([chain.block("latest"), chain.block("final")]);
      const head = latest ?? memory.head;
      const finalHeight = final?.number ?? -1n;
      const old = memory.head;
      const moved = head.hash !== old.hash || finalHeight !== memory.finalHeight;
      if (!moved && !justSent) return false;
      const flights = inNonceOrder(memory);
      const mayHaveGone = flights.some(({ included }) => included !== undefined) && (await reorganised(old, head));
      if (mayHaveGone) log.warn({ old: old.number, head: head.number }, "chain reorganised under the sender");
      const askAll = mayHaveGone || memory.finalHeight === undefined;
      const isOpen = ({ included }: Flight) => included === undefined;
      const settled = flights.filter(({ included }) => included && (askAll || included.blockNumber <= finalHeight));
      const asked = [...settled, ...(await reached(memory, flights.filter(isOpen)))];
      // Asked after the final height was read: a receipt at or below it is then of a block that was final already.
      const receipts = await receiptsOf(asked);
      const outcomes = asked.flatMap((flight) => {
        const outcome = outcomeOf(flight, receipts, finalHeight);
        return outcome === undefined ? [] : [{ flight, outcome }];
      });
      await record(memory, outcomes);
      await timeInclusions(outcomes, head);
      memory.head = head;
      memory.finalHeight = finalHeight;
      for (const flight of memory.flights.values()) memory.flights.set(flight.nonce, seenAt(flight, head.number));
      return moved;
    },
    async resolveUsed(memory, flight) {
      const user = await finalUserOfNonce(chain, address, flight.nonce, memory.finalHeight ?? -1n);
      if (user === undefined || flight.attempts.some(({ hash }) => hash === user)) return false;
      log.warn(
        { ...context.about(flight.intent), nonce: flight.nonce, user },
        "nonce was used by a foreign transaction",
      );
      const { intent, events } = flight;
      await record(memory, [{ flight, outcome: { kind: "moved", intent, events } }]);
      return true;
    },
  };
}

function outcomeOf(flight: Flight, receipts: ReadonlyMap<Hex, Receipt>, finalHeight: bigint): Outcome | undefined {
  const { intent, events } = flight;
  const seen = sight(flight, receipts, finalHeight);
  switch (seen.kind) {
    case "nothing":
      return undefined;
    case "dropped":
      return { kind: "dropped", intent, events };
    case "included":
      return { kind: "included", intent, events, attempt: seen.attempt, receipt: seen.receipt };
    case "ended": {
      const { attempt, receipt } = seen;
      if (attempt.kind === "call") return { kind: "finalized", intent, events, attempt, receipt };
      const { reason, detail } = flight.voiding ?? { reason: "expired" as const, detail: "its nonce was voided" };
      if (givesWay(reason)) return { kind: "moved", intent, events };
      return { kind: "abandoned", intent, events, reason, detail, receipt };
    }
  }
}

function apply(memory: LaneMemory, flight: Flight, outcome: Outcome): void {
  if (outcome.kind === "included") {
    const { transactionHash: hash, blockNumber, status } = outcome.receipt;
    const events = flight.events + eventsOf(outcome).length;
    const released = flight.released || outcome.attempt.kind === "call";
    memory.flights.set(flight.nonce, { ...flight, events, released, included: { hash, blockNumber, status } });
  } else if (outcome.kind === "dropped") {
    memory.flights.set(flight.nonce, { ...flight, included: undefined, sent: undefined, timed: undefined });
  } else {
    memory.flights.delete(flight.nonce);
    // Free again should the chain ever lose what used it.
    if (outcome.kind === "moved") memory.taken.delete(flight.nonce);
  }
}

const seenAt = (flight: Flight, head: bigint): Flight => ({
  ...flight,
  sentAtHead: flight.sentAtHead ?? head,
  pricedAtHead: flight.pricedAtHead ?? head,
});
