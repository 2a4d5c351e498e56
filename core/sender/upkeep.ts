import type { Fees } from "../chain/chain.ts";
import { inNonceOrder, type LaneContext, type LaneMemory } from "./context.ts";
import type { Dispatch, Sent } from "./dispatch.ts";
import { type Flight, type Moment, nextMove, reasonToVoid } from "./flight.ts";
import { firstGap } from "./nonces.ts";
import type { Tracking } from "./tracking.ts";

/** Keeps flights going until they have ended. */
export type Upkeep = {
  /** Looks what became of the flights, and does for each what it needs. */
  round(memory: LaneMemory, signal: AbortSignal): Promise<void>;
};

export function createUpkeep(
  context: LaneContext,
  deps: {
    dispatch: Dispatch;
    tracking: Tracking;
    /** An estimate, a little old unless the chain just moved. */
    freshFees: () => Promise<Fees>;
    /** Called when an intent is queued again or for the first time. */
    onQueued: () => void;
  },
): Upkeep {
  const { chain, account, address, clock, log, settings } = context;
  const { dispatch, tracking, freshFees, onQueued } = deps;

  async function round(current: LaneMemory, signal: AbortSignal): Promise<void> {
    if (current.flights.size === 0) return;
    await tracking.look(current, inNonceOrder(current).some(isFresh));
    const open = inNonceOrder(current).filter(({ included }) => included === undefined);
    if (open.length === 0) return;
    const fees = await freshFees();
    const due = open.filter((flight) => nextMove(flight, momentOf(flight, open, current, fees)) !== "wait");
    if (due.length === 0) return;
    current.chainNonce = (await chain.account(address)).nonce;
    let sent: Sent = "go on";
    for (const { nonce } of due) {
      const flight = current.flights.get(nonce);
      if (flight === undefined || sent === "stop" || signal.aborted) break;
      if (nonce < current.chainNonce) {
        if (await tracking.resolveUsed(current, flight)) onQueued();
      } else sent = await move(current, flight, momentOf(flight, open, current, fees), fees);
    }
    await fillGap(current, open);
  }

  async function move(current: LaneMemory, flight: Flight, moment: Moment, fees: Fees): Promise<Sent> {
    switch (nextMove(flight, moment)) {
      case "wait":
        return "go on";
      case "send":
        return dispatch.send(current, flight);
      case "raise":
        return dispatch.raise(current, flight, fees);
      case "void":
        return dispatch.giveUp(current, flight, reasonToVoid(flight, moment.now));
    }
  }

  /** A nonce that nobody has (a reorganisation can take a foreign transaction away) would hold up all above it. */
  async function fillGap(current: LaneMemory, open: readonly Flight[]): Promise<void> {
    const nonces = open.map(({ nonce }) => nonce);
    const gap = firstGap(current.chainNonce, nonces);
    if (gap === undefined || current.taken.has(gap)) return;
    log.warn({ nonce: gap }, "nonce gap is filled");
    await context.submitOwn({
      id: `gap-${chain.name}-${account}-${gap}-${current.head.hash.slice(2, 10)}`,
      ...{ chain: chain.name, account },
      kind: "sender.fill-gap",
      subject: `sender-${chain.name}-${account}`,
      call: { to: address, data: "0x", value: 0n },
      gas: 21_000n,
      dryRun: false,
    });
    onQueued();
  }

  const momentOf = (flight: Flight, open: readonly Flight[], current: LaneMemory, fees: Fees): Moment => ({
    now: clock.now(),
    head: current.head.number,
    lowest: flight.nonce === open[0]?.nonce,
    followed: open.some(({ nonce }) => nonce > flight.nonce),
    freshMaxFee: fees.maxFeePerGas,
    resendMs: settings.resendMs,
  });

  return { round };
}

/** Its receipt may be there though no new block is: it was sent since the last look, or by an earlier process. */
const isFresh = ({ included, sent, sentAtHead }: Flight) =>
  included === undefined && (sent === undefined || sentAtHead === undefined);
