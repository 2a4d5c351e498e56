import type { FeeEstimate } from "../chain/chain.ts";
import { isPressing } from "./bounds.ts";
import { inNonceOrder, type LaneContext, type LaneMemory } from "./context.ts";
import type { Dispatch } from "./dispatch.ts";
import { type Flight, type Moment, nextMove, reasonToVoid } from "./flight.ts";
import type { Launch } from "./launch.ts";
import { gapsBelow } from "./nonces.ts";
import type { Sent } from "./refusal.ts";
import type { Tracking } from "./tracking.ts";

/** How many times `resendMs` the chain must lack a transaction that was final, before its nonce is free again. */
const lostAfter = 10;

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
    launch: Pick<Launch, "fill">;
    /** An estimate, a little old unless the chain just moved. */
    freshFees: () => Promise<FeeEstimate>;
    /** Called when an intent is queued again. */
    onQueued: () => void;
  },
): Upkeep {
  const { chain, address, clock, log, settings } = context;
  const { dispatch, tracking, launch, freshFees, onQueued } = deps;
  /** Since when the chain lacks transactions of ours that had ended. */
  let lost: { readonly nonce: number; readonly since: number } | undefined;

  async function round(current: LaneMemory, signal: AbortSignal): Promise<void> {
    if (current.flights.size === 0) return;
    await tracking.look(current, inNonceOrder(current).some(isFresh));
    const open = inNonceOrder(current).filter(({ included }) => included === undefined);
    if (open.length === 0) return;
    const fees = await freshFees();
    const moves = open.map((flight) => nextMove(flight, momentOf(flight, open, current, fees)));
    const held = moves.indexOf("hold");
    const due = open.filter((_, index) => moves[index] !== "wait" && (held < 0 || index < held));
    if (due.length === 0) return;
    const { nonce: chainNonce, balance } = await chain.account(address);
    Object.assign(current, { chainNonce, balance });
    await fillGaps(current, open, fees);
    let sent: Sent = "go on";
    for (const { nonce } of due) {
      const flight = current.flights.get(nonce);
      if (flight === undefined || sent === "stop" || signal.aborted) break;
      if (nonce < current.chainNonce) {
        if (await tracking.resolveUsed(current, flight)) onQueued();
      } else sent = await move(current, flight, momentOf(flight, open, current, fees), fees);
    }
  }

  async function move(current: LaneMemory, flight: Flight, moment: Moment, fees: FeeEstimate): Promise<Sent> {
    switch (nextMove(flight, moment)) {
      case "wait":
      case "hold":
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
  async function fillGaps(current: LaneMemory, open: readonly Flight[], fees: FeeEstimate): Promise<void> {
    freeLost(current);
    const gaps = gapsBelow(
      current.chainNonce,
      open.map(({ nonce }) => nonce),
    ).filter((nonce) => !current.flights.has(nonce) && !current.taken.has(nonce));
    for (const nonce of gaps) await launch.fill(current, nonce, fees);
  }

  /**
   * The chain may lack what used nonces of intents that have ended. This may be a node that lags, so it is believed only
   * when it goes on; then all of them are free again.
   */
  function freeLost({ chainNonce, taken, flights }: LaneMemory): void {
    if (!taken.has(chainNonce) || flights.has(chainNonce)) {
      lost = undefined;
      return;
    }
    if (lost?.nonce !== chainNonce) {
      lost = { nonce: chainNonce, since: clock.now() };
      log.warn({ nonce: chainNonce }, "chain does not have a transaction that was final");
    }
    if (clock.now() - lost.since < lostAfter * settings.resendMs) return;
    for (const nonce of taken) if (nonce >= chainNonce && !flights.has(nonce)) taken.delete(nonce);
  }

  const momentOf = (flight: Flight, open: readonly Flight[], current: LaneMemory, fees: FeeEstimate): Moment => ({
    now: clock.now(),
    head: current.head.number,
    lowest: flight.nonce === open[0]?.nonce,
    // Nothing is won where those behind it cannot be decided about either.
    followed: open.some(({ nonce, undecided }) => nonce > flight.nonce && (!flight.undecided || !undecided)),
    freshMaxFee: fees.maxFeePerGas,
    pressing: open.some(({ nonce, intent }) => nonce >= flight.nonce && isPressing(intent, settings, clock.now())),
    resendMs: settings.resendMs,
  });

  return { round };
}

/** Its receipt may be there though no new block is: it was sent since the last look, or by an earlier process. */
const isFresh = ({ included, sent, sentAtHead }: Flight) =>
  included === undefined && (sent === undefined || sentAtHead === undefined);
