import type { Hex } from "#core/kernel/codec.ts";
import type { LegName, Party, StepName } from "./events.ts";

export type PartyName = "initiator" | "counterparty";
export type Parties = { readonly [name in PartyName]: Party } & { readonly payer?: string | undefined };

/** The managed account of a party; undefined for an external one. */
export const managed = (party: Party): string | undefined => ("account" in party ? party.account : undefined);

/** Where a party is paid, and where it pays from, on the chain of a leg. */
export const addressOn = (party: Party, leg: LegName): Hex => ("account" in party ? party.address : party[leg]);

export const legOf = (step: StepName): LegName => (step.endsWith("source") ? "source" : "target");

/** Who locks a leg, and whom a refund of it pays. */
export const lockerOf = (leg: LegName): PartyName => (leg === "source" ? "initiator" : "counterparty");
/** Whom a claim of a leg pays. */
export const claimerOf = (leg: LegName): PartyName => (leg === "source" ? "counterparty" : "initiator");

/** Whose step it is: a leg's sender approves, locks and is refunded; its recipient claims. */
export const partyOf = (step: StepName): PartyName =>
  step.startsWith("claim") ? claimerOf(legOf(step)) : lockerOf(legOf(step));

/**
 * The managed account that can send a step: the party's own, or for claims, refunds and signed locks of an external
 * party the payer's, since those are anyone's to send. Undefined when only the party itself can.
 */
export function senderOf(parties: Parties, step: StepName): string | undefined {
  return managed(parties[partyOf(step)]) ?? parties.payer;
}
