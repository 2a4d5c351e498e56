import type { LaneMemory, SendSettings } from "./context.ts";
import type { Flight } from "./flight.ts";
import type { IntentRequest } from "./sender.ts";
import { type Pressure, pressureOf } from "./urgency.ts";

/** What bounds the price of a transaction now, in wei a gas. */
export type PriceBounds = {
  readonly ceiling: bigint;
  /** Up to where the market is no bound; 0 where it always is. */
  readonly outbidsTo: bigint;
  /** It never offers more than the chain's own estimate. */
  readonly patient: boolean;
  /** What it should offer by now for what is to be had at this price. */
  aim(fee: bigint): bigint;
};

type Rules = Pick<SendSettings, "feeCeiling" | "urgentCeilings" | "inclusionMs" | "outbids" | "patient">;
type Held = Pick<Flight, "nonce" | "intent" | "included">;

const asItIs = (fee: bigint) => fee;
const most = (some: readonly bigint[]) => some.reduce((a, b) => (a > b ? a : b), 0n);

/** What an intent may offer by itself. `gas` is what its worth pays for: its own, and that of all it waits for. */
export function boundsOf(intent: IntentRequest, rules: Rules, now: number, gas = intent.gas): PriceBounds {
  const { kind } = intent;
  const pressure = pressureFor(intent, rules, now, gas);
  if (pressure !== undefined) {
    const { ceiling, near, top, aim } = pressure;
    return { ceiling, outbidsTo: near ? top : 0n, patient: false, aim };
  }
  const ceiling = rules.feeCeiling(kind);
  return { ceiling, outbidsTo: rules.outbids(kind) ? ceiling : 0n, patient: rules.patient(kind), aim: asItIs };
}

/** What a flight may offer: all above wait for it, so as much as any of them may. */
export function boundsAt(flight: Held, memory: Pick<LaneMemory, "flights">, rules: Rules, now: number): PriceBounds {
  const open = [...memory.flights.values()].filter(({ included }) => included === undefined);
  const gasUpTo = (nonce: number) =>
    open.reduce((sum, { nonce: other, intent: { gas } }) => (other <= nonce ? sum + gas : sum), 0n);
  const all = open
    .filter(({ nonce }) => nonce >= flight.nonce)
    .map(({ intent, nonce }) => boundsOf(intent, rules, now, intent.urgency && gasUpTo(nonce)));
  return {
    ceiling: most(all.map(({ ceiling }) => ceiling)),
    outbidsTo: most(all.map(({ outbidsTo }) => outbidsTo)),
    patient: all.every(({ patient }) => patient),
    aim: (fee) => most(all.map(({ aim }) => aim(fee))),
  };
}

/** True while the deadline of an intent is near, so that a step is due with every block. */
export const isPressing = (intent: IntentRequest, rules: Rules, now: number): boolean =>
  pressureFor(intent, rules, now, intent.gas)?.near === true;

function pressureFor({ urgency, kind }: IntentRequest, rules: Rules, now: number, gas: bigint): Pressure | undefined {
  if (urgency === undefined) return undefined;
  return pressureOf(urgency, { gas, ceilings: rules.urgentCeilings(kind), now, inclusionMs: rules.inclusionMs() });
}
