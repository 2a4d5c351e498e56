import type { StoredEvent } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import type { LegName, LegTerms, Party, SignatureKind, StepName, SwapEvent } from "./events.ts";
import { managed } from "./parties.ts";

/** Where something was seen on a chain. */
export type Sighting = {
  readonly transactionHash: Hex;
  readonly blockNumber: bigint;
  readonly blockHash: Hex;
  /** Unix seconds of the block. */
  readonly at: bigint;
};

type LegEnd = Sighting & { readonly kind: "claimed" | "refunded"; readonly secret?: Hex };

/** What the chain has shown of a leg. */
export type Leg = {
  readonly lock?: Sighting;
  readonly lockFinal: boolean;
  readonly end?: LegEnd;
  readonly endFinal: boolean;
  /** What external parties signed so that others can send it for them. */
  readonly signatures: Readonly<Partial<Record<SignatureKind, PartySignature>>>;
  readonly earlyRefund?: EarlyRefund;
};

export type Step = {
  readonly attempt: number;
  readonly intentId: string;
  readonly state: "started" | "failed";
  readonly failure?: { readonly code: string; readonly detail: string; readonly retryAt?: bigint };
};

/** What an external party signed. The deadline is in Unix seconds, the last at which it is good. */
type PartySignature = { readonly nonce: bigint; readonly deadline: bigint; readonly signature: Hex };

/** A recipient's consent that its leg is refunded before the timelock. Times are Unix seconds. */
type EarlyRefund = { readonly lockedAt: bigint; readonly nonce: bigint; readonly deadline: bigint };

export type Swap = {
  readonly id: string;
  readonly version: number;
  readonly requestedAt: Date;
  readonly hashlock: Hex;
  readonly initiator: Party;
  readonly counterparty: Party;
  /** Managed account that sends what is anyone's to send, for parties that are external. */
  readonly payer?: string;
  readonly terms: Readonly<Record<LegName, Terms>>;
  readonly legs: Readonly<Record<LegName, Leg>>;
  readonly steps: Readonly<Partial<Record<StepName, Step>>>;
  /** Locks that whoever had to be asked has let be made. */
  readonly approved: readonly StepName[];
  /** The service has the secret: it made it, or an external initiator handed it in. */
  readonly secretKept: boolean;
  readonly revealStarted: boolean;
  /** A claim with the secret was mined and reverted: whoever reads the chain has it. */
  readonly secretMined: boolean;
  /** Seen in a claim on either chain. Once public it stays so, whatever becomes of that claim. */
  readonly publicSecret?: Hex;
  readonly givenUp?: { readonly code: string; readonly detail: string };
  /** Of it there may be signed transactions that are not known here. */
  readonly restored?: true;
};

/** A leg's terms; `batch`: the entry of a batch that its lock is, with the ids of all entries in their order. */
export type Terms = LegTerms & { readonly batch?: { readonly index: number; readonly leaves: readonly Hex[] } };

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

const untouched: Leg = { lockFinal: false, endFinal: false, signatures: {} };

/** The swap after one more event. */
export function evolve(swap: Swap | undefined, event: StoredEvent<SwapEvent>): Swap {
  if (event.type === "SwapRequested") {
    const { source, target, payer, ...rest } = event.data;
    const id = event.stream.slice("swap-".length);
    const legs = { source: untouched, target: untouched };
    return {
      id,
      version: event.version,
      requestedAt: event.at,
      ...rest,
      ...(payer !== undefined && { payer }),
      terms: { source, target },
      legs,
      steps: {},
      approved: [],
      secretKept: managed(rest.initiator) !== undefined,
      revealStarted: false,
      secretMined: false,
    };
  }
  if (!swap) throw new Error(`stream ${event.stream} does not begin with SwapRequested`);
  return { ...change(swap, event), version: event.version };
}

function change(swap: Swap, event: Exclude<SwapEvent, { type: "SwapRequested" }>): Swap {
  switch (event.type) {
    case "LegPlaced": {
      const { leg, lockId, batch } = event.data;
      const { batch: _before, ...terms } = swap.terms[leg];
      return { ...swap, terms: { ...swap.terms, [leg]: { ...terms, lockId, ...(batch && { batch }) } } };
    }
    case "StepStarted": {
      const { step, attempt, intentId } = event.data;
      return { ...swap, steps: { ...swap.steps, [step]: { attempt, intentId, state: "started" } } };
    }
    case "StepFailed": {
      const { step, attempt, code, detail, retryAt } = event.data;
      const failure = { code, detail, ...(retryAt !== undefined && { retryAt }) };
      const intentId = swap.steps[step]?.intentId ?? "";
      const secretMined = swap.secretMined || (step === "claim-target" && code === "intent-reverted");
      return {
        ...swap,
        secretMined,
        steps: { ...swap.steps, [step]: { attempt, intentId, state: "failed", failure } },
      };
    }
    case "RevealStarted":
      return { ...swap, revealStarted: true };
    case "RevealWithdrawn":
      return { ...swap, revealStarted: false };
    case "SwapApproved":
      return { ...swap, approved: [...swap.approved, event.data.step] };
    case "SwapRejected":
      return swap;
    case "SwapGivenUp":
      return { ...swap, givenUp: swap.givenUp ?? event.data };
    case "SecretReceived":
      return { ...swap, secretKept: true };
    case "SwapRestored":
      return { ...swap, restored: true };
    default: {
      const legs = { ...swap.legs, [event.data.leg]: changeLeg(swap.legs[event.data.leg], event) };
      return { ...swap, legs, ...(event.type === "LegClaimed" && { publicSecret: event.data.secret }) };
    }
  }
}

type LegEvent = Exclude<Extract<SwapEvent, { data: { leg: LegName } }>, { type: "LegPlaced" }>;

function changeLeg(leg: Leg, event: LegEvent): Leg {
  switch (event.type) {
    case "LegDetected":
      // An end that is known already was seen before a lock that an endpoint had hidden.
      return { ...leg, lock: sighting(event.data), lockFinal: false };
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
      if (event.data.undone === "lock") {
        // A consent names the time of the lock that is gone.
        const { "early-refund": _gone, ...signatures } = leg.signatures;
        return { ...untouched, signatures };
      }
      const { end: _undone, ...rest } = leg;
      return { ...rest, endFinal: false };
    }
    case "SignatureReceived": {
      const { kind, nonce, deadline, signature } = event.data;
      return { ...leg, signatures: { ...leg.signatures, [kind]: { nonce, deadline, signature } } };
    }
    case "EarlyRefundAgreed": {
      const { lockedAt, nonce, deadline } = event.data;
      return { ...leg, earlyRefund: { lockedAt, nonce, deadline } };
    }
  }
}

function sighting({ transactionHash, blockNumber, blockHash, at }: Sighting): Sighting {
  return { transactionHash, blockNumber, blockHash, at };
}
