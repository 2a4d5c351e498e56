import type { Fees } from "../chain/chain.ts";
import type { Hex } from "../kernel/codec.ts";
import { isLockstepError } from "../kernel/errors.ts";
import { type Admission, type Admitted, lineOf } from "./admission.ts";
import { boundsOf } from "./bounds.ts";
import { inNonceOrder, type LaneContext, type LaneMemory } from "./context.ts";
import type { Dispatch } from "./dispatch.ts";
import { firstFees, transferGas } from "./fees.ts";
import type { Flight } from "./flight.ts";
import { allocateNonces } from "./nonces.ts";
import { insertIntents, type Queued, saveSigned, senderChannel } from "./rows.ts";
import type { IntentRequest } from "./sender.ts";

/** Turns queued intents into flights. */
export type Launch = {
  /** Signs what is queued, all of it durably before the first byte leaves, and sends it in order. True: more waits. */
  next(memory: LaneMemory): Promise<boolean>;
  /** Uses up a nonce that nobody has and the others wait for, however many those are. */
  fill(memory: LaneMemory, nonce: number, fresh: Fees): Promise<void>;
};

export function createLaunch(context: LaneContext, deps: { admission: Admission; dispatch: Dispatch }): Launch {
  const { account, address, chain, clock, db, log, about, mark, settings, signer, waits } = context;
  const { admission, dispatch } = deps;

  async function next(current: LaneMemory): Promise<boolean> {
    const { admitted, more } = await admission.next(current);
    if (admitted === undefined) return more;
    const made = await signAll(current, admitted);
    if (made.length === 0) return more;
    const flights = made.map(({ flight }) => flight);
    await db.tx((tx) => saveSigned(tx, flights));
    for (const flight of flights) {
      current.taken.add(flight.nonce);
      current.flights.set(flight.nonce, flight);
      waits.forget(flight.intent.id);
      mark(`signed/${flight.intent.kind}`);
    }
    const waiting = inNonceOrder(current).some(({ nonce, sent, included }) => {
      return nonce < (made[0]?.flight.nonce ?? 0) && sent === undefined && included === undefined;
    });
    if (!waiting) await dispatch.sendNew(current, made);
    return more;
  }

  async function signAll(current: LaneMemory, { ready, fresh, left }: Admitted) {
    const nonces = allocateNonces(current.chainNonce, current.taken, ready.length);
    const made: { flight: Flight; raw: Hex }[] = [];
    let rest = left;
    let silent = false;
    for (const queued of ready) {
      if (silent) {
        unsigned(queued, "signer-unreachable");
        continue;
      }
      const signed = await sign(queued, nonces[made.length] ?? 0, fresh, () => {
        silent = true;
      });
      if (signed === undefined) continue;
      // Known only now that the call is built; nothing of it was kept.
      const [attempt] = signed.flight.attempts;
      const value = attempt !== undefined && "builder" in queued.intent.call ? signer.value(attempt) : 0n;
      if (value > 0n && value > rest) {
        admission.lacks(queued);
        continue;
      }
      rest -= value;
      made.push(signed);
    }
    return made;
  }

  /** It keeps its place and has no nonce: nothing waits for it. */
  function unsigned(queued: Queued, cause: string): void {
    const { id } = queued.intent;
    waits.note(id, { code: "signing-failed", detail: `it could not be signed: ${cause}` });
    admission.defer(id, undefined, lineOf(queued));
  }

  /** `onSilence` is called when whoever has the account's key does not answer, which others need not wait for as well. */
  async function sign(
    queued: Queued,
    nonce: number,
    fresh: Fees,
    onSilence: () => void = () => undefined,
  ): Promise<{ flight: Flight; raw: Hex } | undefined> {
    const { intent, place, released, events } = queued;
    try {
      const { ceiling, patient } = boundsOf(intent, settings, clock.now());
      const fees = firstFees(fresh, ceiling);
      // What is paid less than the chain asks, or is in no hurry, says nothing about the chain.
      const timed = patient || ceiling < fresh.maxFeePerGas ? undefined : { from: undefined };
      const { attempt, raw } = await signer.call(intent, nonce, fees);
      const blank = { voiding: undefined, included: undefined, sent: undefined };
      const unseen = { sentAtHead: undefined, pricedAtHead: undefined };
      const untold = { unpaid: undefined, undecided: undefined, accepted: false, declined: undefined, timed };
      return {
        flight: { intent, place, nonce, attempts: [attempt], released, events, ...blank, ...unseen, ...untold },
        raw,
      };
    } catch (error) {
      // Only its name: the error of a builder may quote what must not be logged.
      const cause = isLockstepError(error) ? error.code : error instanceof Error ? error.name : "unknown";
      log.error({ cause, ...about(intent) }, "intent could not be signed");
      unsigned(queued, cause);
      if (isLockstepError(error, "signer-unreachable")) onSilence();
      return undefined;
    }
  }

  /** An intent of the sender's own, which waits in no queue. */
  async function fill(current: LaneMemory, nonce: number, fresh: Fees): Promise<void> {
    const here = { chain: chain.name, account };
    const own: IntentRequest = {
      id: `gap-${chain.name}-${account}-${nonce}-${clock.now()}`,
      ...{ ...here, kind: "sender.fill-gap", subject: `sender-${chain.name}-${account}` },
      ...{ call: { to: address, data: "0x", value: 0n }, gas: transferGas, dryRun: false },
    };
    const blank = { place: 0n, moved: false, released: false, events: 0, pooled: false };
    const signed = await sign({ intent: own, ...blank }, nonce, fresh);
    if (signed === undefined) return;
    log.warn({ nonce }, "nonce gap is filled");
    await db.tx(async (tx) => {
      await insertIntents(tx, [own], { channel: senderChannel, at: clock.now() });
      await saveSigned(tx, [signed.flight]);
    });
    current.taken.add(nonce);
    current.flights.set(nonce, signed.flight);
    await dispatch.send(current, signed.flight, signed.raw);
  }

  return { next, fill };
}
