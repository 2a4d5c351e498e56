import type { FeeEstimate } from "../chain/chain.ts";
import type { Hex } from "../kernel/codec.ts";
import { isLockstepError } from "../kernel/errors.ts";
import type { SignedAttempt } from "./attempts.ts";
import { boundsAt } from "./bounds.ts";
import type { LaneContext, LaneMemory } from "./context.ts";
import { firstFees, raiseFees } from "./fees.ts";
import { type Attempt, type Flight, isLate, reasonToVoid, type Voiding } from "./flight.ts";
import { nextPrice } from "./price.ts";
import type { Purse } from "./purse.ts";
import { createRelease, type Verdict } from "./release.ts";
import { saveAttempt, saveReleased } from "./rows.ts";
import type { Waiting } from "./sender.ts";

/** Whether transactions with higher nonces may follow. */
export type Sent = "go on" | "stop";

/** Flights whose last checks are made at once. */
const judgedTogether = 8;

/** What can be done to a flight; every method leaves the new flight in the lane's memory. */
export type Dispatch = {
  /**
   * Hands new flights to the chain in order, until one has to wait. The last checks of a few are made together, so that
   * each rests on facts that are as old as the sending of those before it takes.
   */
  sendNew(memory: LaneMemory, made: readonly { readonly flight: Flight; readonly raw: Hex }[]): Promise<void>;
  /** Hands the newest attempt to the chain, after the last checks if it is the first time. */
  send(memory: LaneMemory, flight: Flight, raw?: Hex): Promise<Sent>;
  /** The same call or void at a higher price. */
  raise(memory: LaneMemory, flight: Flight, fresh: FeeEstimate): Promise<Sent>;
  /** Uses the nonce up without making the call. */
  giveUp(memory: LaneMemory, flight: Flight, voiding: Voiding): Promise<Sent>;
};

export function createDispatch(
  context: LaneContext,
  deps: {
    purse: Purse;
    /** Called when an intent loses its nonce because the account cannot pay it. */
    onUnpayable: (id: string) => void;
  },
): Dispatch {
  const { chain, db, signer, guards, settings, clock, log, mark, waits } = context;
  const release = createRelease(context);

  const keep = (memory: LaneMemory, flight: Flight): Flight => {
    memory.flights.set(flight.nonce, flight);
    return flight;
  };

  async function handOver(memory: LaneMemory, flight: Flight, raw: Hex): Promise<Sent> {
    const sent = keep(memory, asSent(flight, clock.now()));
    try {
      await chain.send(raw);
    } catch (error) {
      return refused(memory, { ...flight, timed: undefined }, error);
    }
    keep(memory, { ...sent, accepted: true, declined: undefined });
    if (flight.declined !== undefined || flight.unpaid !== undefined) waits.clear(flight.intent.id);
    context.onActivity(chain.name);
    if (sent.voiding === undefined) mark(`broadcast/${flight.intent.kind}`);
    return "go on";
  }

  /** The receipts decide what happened; here it is only told whether to send this one again, and those after it. */
  async function refused(memory: LaneMemory, flight: Flight, error: unknown): Promise<Sent> {
    const reason = isLockstepError(error, "transaction-refused") ? error.details.reason : undefined;
    log.warn({ err: error, intent: flight.intent.id, nonce: flight.nonce }, "transaction not taken");
    if (reason === "underpriced") return "go on";
    keep(memory, { ...flight, sent: undefined });
    forgetTimes(memory, flight.nonce);
    if (reason === "insufficient-funds") await unpaid(memory, flight);
    if (reason === "nonce-too-low") return "go on";
    // What came before was taken and lost again.
    if (reason === "nonce-too-high") forgetSent(memory, flight.nonce);
    if (reason === "other") await declined(memory, flight, error instanceof Error ? error.message : "");
    return "stop";
  }

  /** Others must not wait for ever for a transaction that no node wants; a secret one is never given up. */
  async function declined(memory: LaneMemory, flight: Flight, detail: string): Promise<void> {
    const { intent, nonce } = flight;
    waits.note(intent.id, { code: "transaction-refused", detail });
    const mayLeave = !("builder" in intent.call) && !flight.accepted;
    if (mayLeave && guards[intent.kind] !== undefined) await saveReleased(db, [intent.id], false);
    const now = clock.now();
    const since = flight.declined?.since ?? now;
    const released = flight.released && !mayLeave;
    keep(memory, { ...flight, sent: undefined, released, declined: { since, at: now, detail } });
    if (since === now) log.error({ intent: intent.id, kind: intent.kind, nonce }, "nodes refuse a transaction");
  }

  /** No endpoint has the call and none will as long as the account is short: its nonce may be voided for others. */
  async function unpaid(memory: LaneMemory, flight: Flight): Promise<void> {
    const { intent, nonce, voiding } = flight;
    if (voiding !== undefined) return;
    waits.note(intent.id, { code: "balance-insufficient", detail: "the account cannot pay it now" });
    const since = flight.unpaid?.since ?? clock.now();
    const hasSecret = "builder" in intent.call;
    if (hasSecret) log.error({ intent: intent.id, nonce }, "account cannot pay a call that must not be given up");
    else if (guards[intent.kind] !== undefined) await saveReleased(db, [intent.id], false);
    keep(memory, { ...flight, sent: undefined, unpaid: { since }, released: hasSecret });
  }

  /**
   * Guard, durable note, clock: in this order, since only the clock cannot wait. Without a verdict it may have left before,
   * perhaps at another nonce, and is driven to its end.
   */
  async function sendJudged(memory: LaneMemory, flight: Flight, verdict?: Verdict, raw?: Hex): Promise<Sent> {
    if (verdict === undefined) return sendAgain(memory, flight, raw);
    if (verdict === "later") return "stop";
    if (verdict !== "go") return giveUp(memory, flight, verdict);
    if (isLate(flight.intent, clock.now())) {
      await release.takeBack([flight]);
      return giveUp(memory, flight, reasonToVoid(flight, clock.now()));
    }
    mark(`released/${flight.intent.kind}`);
    return sendAgain(memory, keep(memory, { ...flight, released: true }), raw);
  }

  async function sendAgain(memory: LaneMemory, flight: Flight, raw?: Hex): Promise<Sent> {
    const newest = flight.attempts.at(-1);
    return newest === undefined ? "go on" : handOver(memory, flight, raw ?? signer.open(newest));
  }

  async function add(memory: LaneMemory, flight: Flight, signed: SignedAttempt, voiding?: Voiding): Promise<Sent> {
    const why = voiding ?? flight.voiding;
    await db.tx((tx) => saveAttempt(tx, flight, signed.attempt, why));
    if (why === undefined) mark(`signed/${flight.intent.kind}`);
    const attempts = [...flight.attempts, signed.attempt];
    waits.clear(flight.intent.id);
    const next = keep(memory, { ...flight, attempts, voiding: why, pricedAtHead: undefined, declined: undefined });
    return handOver(memory, next, signed.raw);
  }

  async function giveUp(memory: LaneMemory, flight: Flight, voiding: Voiding): Promise<Sent> {
    log.info({ intent: flight.intent.id, nonce: flight.nonce, reason: voiding.reason }, "nonce is voided");
    if (voiding.reason === "unpayable") deps.onUnpayable(flight.intent.id);
    const fresh = await chain.fees();
    const newest = flight.attempts.at(-1);
    const fees = (newest && raiseFees(newest.fees, fresh, 2n ** 200n)) ?? firstFees(fresh, 2n ** 200n);
    return add(memory, { ...flight, timed: undefined }, await signer.nothing(flight.nonce, fees), voiding);
  }

  /** Not priced higher: sent once more as it is, and its owner can see why. */
  function stay(memory: LaneMemory, flight: Flight, attempt: Attempt, waiting: Waiting): Promise<Sent> {
    const { intent, nonce } = flight;
    const level = settings.patient(intent.kind) ? "info" : "error";
    log[level]({ intent: intent.id, kind: intent.kind, nonce, reason: waiting.code }, "price is not raised");
    waits.note(intent.id, waiting);
    if (waiting.code !== "inclusion-stalled") forgetTimes(memory, nonce);
    const { timed } = memory.flights.get(nonce) ?? flight;
    return handOver(memory, keep(memory, { ...flight, timed, pricedAtHead: undefined }), signer.open(attempt));
  }

  return {
    giveUp,
    async send(memory, flight, raw) {
      return sendJudged(memory, flight, (await release.judge([flight])).get(flight.nonce), raw);
    },
    async sendNew(memory, made) {
      for (let from = 0; from < made.length; from += judgedTogether) {
        const together = made.slice(from, from + judgedTogether);
        const verdicts = await release.judge(together.map(({ flight }) => flight));
        for (const [index, { flight, raw }] of together.entries()) {
          if ((await sendJudged(memory, flight, verdicts.get(flight.nonce), raw)) === "go on") continue;
          return release.takeBack(together.slice(index + 1).map((each) => each.flight));
        }
      }
    },
    async raise(memory, flight, fresh) {
      const newest = flight.attempts.at(-1);
      if (newest === undefined) return "go on";
      const payable = await deps.purse.highestFee(memory, flight);
      const price = nextPrice(newest.fees, fresh, { ...boundsAt(flight, memory, settings, clock.now()), payable });
      if ("fees" in price) return add(memory, flight, await signer.again(newest, price.fees));
      return stay(memory, flight, newest, price.waiting);
    },
  };
}

const asSent = (flight: Flight, at: number): Flight => ({
  ...flight,
  ...{ sent: { at }, sentAtHead: undefined, unpaid: undefined },
  timed: flight.timed && { from: flight.timed.from ?? at },
});

/** How long it takes what waits for something else than a block says nothing about the chain. */
function forgetTimes(memory: LaneMemory, from: number): void {
  for (const flight of memory.flights.values()) {
    if (flight.nonce >= from) memory.flights.set(flight.nonce, { ...flight, timed: undefined });
  }
}

function forgetSent(memory: LaneMemory, above: number): void {
  for (const flight of memory.flights.values()) {
    if (flight.nonce < above && flight.included === undefined) {
      memory.flights.set(flight.nonce, { ...flight, sent: undefined });
    }
  }
}
