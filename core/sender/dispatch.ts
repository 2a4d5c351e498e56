import type { FeeEstimate } from "../chain/chain.ts";
import type { Hex } from "../kernel/codec.ts";
import { isLockstepError } from "../kernel/errors.ts";
import type { SignedAttempt } from "./attempts.ts";
import { boundsAt } from "./bounds.ts";
import type { LaneContext, LaneMemory } from "./context.ts";
import { firstFees, raiseFees } from "./fees.ts";
import { type Attempt, type Flight, givesWay, isLate, reasonToVoid, type Voiding } from "./flight.ts";
import { forgetTimes, keep } from "./memory.ts";
import { nextPrice } from "./price.ts";
import type { Purse } from "./purse.ts";
import { createRefusal, type Sent } from "./refusal.ts";
import { createRelease, type Release, type Verdict } from "./release.ts";
import { saveAttempt } from "./rows.ts";
import type { Waiting } from "./sender.ts";

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
    /** Called when an intent leaves its nonce to others: the account cannot pay it, or its guard cannot decide. */
    onGaveWay: (id: string) => void;
  },
): Dispatch {
  const { chain, db, signer, settings, clock, log, about, mark, waits } = context;
  const release = createRelease(context);

  const refused = createRefusal(context);

  function handOver(memory: LaneMemory, flight: Flight, raw: Hex): Promise<Sent> {
    const { within } = context;
    if (within === undefined) return toChain(memory, flight, raw);
    return within(flight.intent, "transaction.send", () => toChain(memory, flight, raw));
  }

  async function toChain(memory: LaneMemory, flight: Flight, raw: Hex): Promise<Sent> {
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
    return sendAgain(memory, keep(memory, { ...flight, released: true, undecided: undefined }), raw);
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
    log.info({ ...about(flight.intent), nonce: flight.nonce, reason: voiding.reason }, "nonce is voided");
    const fresh = await chain.fees();
    const newest = flight.attempts.at(-1);
    const fees = (newest && raiseFees(newest.fees, fresh, 2n ** 200n)) ?? firstFees(fresh, 2n ** 200n);
    const signed = await signer.nothing(flight.nonce, fees).catch(notSigned);
    if ("code" in signed) {
      // Tried again with the next look; what is below it is looked after meanwhile.
      waits.note(flight.intent.id, signed);
      return "stop";
    }
    if (givesWay(voiding.reason)) deps.onGaveWay(flight.intent.id);
    return add(memory, { ...flight, timed: undefined }, signed, voiding);
  }

  /** Not priced higher: sent once more as it is, and its owner can see why. */
  function stay(memory: LaneMemory, flight: Flight, attempt: Attempt, waiting: Waiting): Promise<Sent> {
    const { intent, nonce } = flight;
    const level = settings.patient(intent.kind) ? "info" : "error";
    log[level]({ ...about(intent), kind: intent.kind, nonce, reason: waiting.code }, "price is not raised");
    waits.note(intent.id, waiting);
    if (waiting.code !== "inclusion-stalled") forgetTimes(memory, nonce);
    const { timed } = memory.flights.get(nonce) ?? flight;
    return handOver(memory, keep(memory, { ...flight, timed, pricedAtHead: undefined }), signer.open(attempt));
  }

  return {
    giveUp,
    async send(memory, flight, raw) {
      return sendJudged(memory, flight, (await judge(release, memory, [flight], clock.now())).get(flight.nonce), raw);
    },
    async sendNew(memory, made) {
      for (let from = 0; from < made.length; from += judgedTogether) {
        const together = made.slice(from, from + judgedTogether);
        const flights = together.map(({ flight }) => flight);
        const verdicts = await judge(release, memory, flights, clock.now());
        const sendOne = ({ flight, raw }: Made) => sendJudged(memory, flight, verdicts.get(flight.nonce), raw);
        if ((await inOrder(together, sendOne, release)) === "stop") return;
      }
    },
    async raise(memory, flight, fresh) {
      const newest = flight.attempts.at(-1);
      if (newest === undefined) return "go on";
      const payable = await deps.purse.highestFee(memory, flight);
      const price = nextPrice(newest.fees, fresh, { ...boundsAt(flight, memory, settings, clock.now()), payable });
      if (!("fees" in price)) return stay(memory, flight, newest, price.waiting);
      const signed = await signer.again(newest, price.fees).catch(notSigned);
      return "code" in signed ? stay(memory, flight, newest, signed) : add(memory, flight, signed);
    },
  };
}

/** Asks the guards; who could not decide is remembered, so that it does not hold up for long what waits behind it. */
async function judge(
  release: Release,
  memory: LaneMemory,
  flights: readonly Flight[],
  at: number,
): Promise<ReadonlyMap<number, Verdict>> {
  const verdicts = await release.judge(flights);
  for (const flight of flights) {
    if (verdicts.get(flight.nonce) !== "later") continue;
    memory.flights.set(flight.nonce, { ...flight, undecided: flight.undecided ?? { since: at } });
  }
  return verdicts;
}

const asSent = (flight: Flight, at: number): Flight => ({
  ...flight,
  ...{ sent: { at }, sentAtHead: undefined, unpaid: undefined },
  timed: flight.timed && { from: flight.timed.from ?? at },
});

type Made = { readonly flight: Flight; readonly raw: Hex };

/** Sends one after the other. Those behind one that stops or fails, say for want of a signature, are to be judged again. */
async function inOrder(
  together: readonly Made[],
  send: (made: Made) => Promise<Sent>,
  release: Pick<Release, "takeBack">,
): Promise<Sent> {
  let reached = 0;
  try {
    for (const made of together) {
      reached += 1;
      if ((await send(made)) === "stop") return "stop";
    }
    return "go on";
  } finally {
    const behind = together.slice(reached).map(({ flight }) => flight);
    if (behind.length > 0) await release.takeBack(behind);
  }
}

/** Whoever has the account's key gave no signature that counts: what there is keeps going as it is. */
function notSigned(error: unknown): Waiting {
  if (!isLockstepError(error) || !error.code.startsWith("signer-")) throw error;
  return { code: "signing-failed", detail: `it could not be signed: ${error.code}` };
}
