import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { LegName, LegTerms, StepName, SwapEvent } from "./events.ts";

/** Where something was seen on a chain. */
export type Sighting = { readonly transactionHash: Hex; readonly blockNumber: bigint; readonly blockHash: Hex };

type LegEnd = Sighting & { readonly kind: "claimed" | "refunded"; readonly secret?: Hex };

/** What the chain has shown of a leg. */
export type Leg = {
  readonly lock?: Sighting;
  readonly lockFinal: boolean;
  readonly end?: LegEnd;
  readonly endFinal: boolean;
};

export type Step = {
  readonly attempt: number;
  readonly intentId: string;
  readonly state: "started" | "failed";
  readonly failure?: { readonly code: string; readonly detail: string; readonly retryAt?: bigint };
};

type Party = { readonly account: string; readonly address: Hex };

export type Swap = {
  readonly id: string;
  readonly version: number;
  readonly requestedAt: Date;
  readonly hashlock: Hex;
  readonly initiator: Party;
  readonly counterparty: Party;
  readonly terms: Readonly<Record<LegName, LegTerms>>;
  readonly legs: Readonly<Record<LegName, Leg>>;
  readonly steps: Readonly<Partial<Record<StepName, Step>>>;
  readonly revealStarted: boolean;
  readonly givenUp?: { readonly code: string; readonly detail: string };
};

export type LegPhase = "none" | "detected" | "locked" | "claimed" | "refunded";

/** The leg's own machine: none → detected → locked (final) → claimed | refunded. */
export function phaseOf(leg: Leg): LegPhase {
  if (leg.end) return leg.end.kind;
  if (leg.lock) return leg.lockFinal ? "locked" : "detected";
  return "none";
}

/** True while the leg holds funds, as far as the chain has shown. */
export const isOpen = (leg: Leg): boolean => leg.lock !== undefined && leg.end === undefined;

/** The swap after its events; undefined before the first. */
export function foldSwap(events: readonly StoredEvent<SwapEvent>[]): Swap | undefined {
  return events.reduce<Swap | undefined>(evolve, undefined);
}

const untouched: Leg = { lockFinal: false, endFinal: false };

function evolve(swap: Swap | undefined, event: StoredEvent<SwapEvent>): Swap {
  if (event.type === "SwapRequested") {
    const { source, target, ...rest } = event.data;
    const id = event.stream.slice("swap-".length);
    const legs = { source: untouched, target: untouched };
    return {
      id,
      version: event.version,
      requestedAt: event.at,
      ...rest,
      terms: { source, target },
      legs,
      steps: {},
      revealStarted: false,
    };
  }
  if (!swap) throw new Error(`stream ${event.stream} does not begin with SwapRequested`);
  return { ...change(swap, event), version: event.version };
}

function change(swap: Swap, event: Exclude<SwapEvent, { type: "SwapRequested" }>): Swap {
  switch (event.type) {
    case "StepStarted": {
      const { step, attempt, intentId } = event.data;
      return { ...swap, steps: { ...swap.steps, [step]: { attempt, intentId, state: "started" } } };
    }
    case "StepFailed": {
      const { step, attempt, code, detail, retryAt } = event.data;
      const failure = { code, detail, ...(retryAt !== undefined && { retryAt }) };
      const intentId = swap.steps[step]?.intentId ?? "";
      return { ...swap, steps: { ...swap.steps, [step]: { attempt, intentId, state: "failed", failure } } };
    }
    case "RevealStarted":
      return { ...swap, revealStarted: true };
    case "RevealWithdrawn":
      return { ...swap, revealStarted: false };
    case "SwapGivenUp":
      return { ...swap, givenUp: event.data };
    default:
      return { ...swap, legs: { ...swap.legs, [event.data.leg]: changeLeg(swap.legs[event.data.leg], event) } };
  }
}

type LegEvent = Extract<SwapEvent, { data: { leg: LegName } }>;

function changeLeg(leg: Leg, event: LegEvent): Leg {
  switch (event.type) {
    case "LegDetected":
      return { lock: sighting(event.data), lockFinal: false, endFinal: false };
    case "LegLocked":
      return { ...leg, lockFinal: true };
    case "LegClaimed":
      return { ...leg, end: { ...sighting(event.data), kind: "claimed", secret: event.data.secret }, endFinal: false };
    case "LegRefunded":
      return { ...leg, end: { ...sighting(event.data), kind: "refunded" }, endFinal: false };
    case "LegClaimFinalized":
    case "LegRefundFinalized":
      return { ...leg, endFinal: true };
    case "LegReorged": {
      if (event.data.undone === "lock") return untouched;
      const { end: _undone, ...rest } = leg;
      return { ...rest, endFinal: false };
    }
  }
}

function sighting({ transactionHash, blockNumber, blockHash }: Sighting): Sighting {
  return { transactionHash, blockNumber, blockHash };
}
