import { createHash } from "node:crypto";
import { getTypesForEIP712Domain, type TypedDataDefinition } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { parseJson, toJson } from "#core/kernel/json.ts";
import { hasAllowance } from "./assets.ts";
import type { SwapChain, SwapChains } from "./chains.ts";
import type { Deadlines } from "./deadlines.ts";
import type { LegName, LegTerms, SignatureKind, StepName } from "./events.ts";
import { approveCall, claimCall, lockCall, refundCall } from "./legCalls.ts";
import type { Action } from "./nextAction.ts";
import { claimerOf, legOf, type PartyName, partyOf, senderOf } from "./parties.ts";
import { type Once, permit2Address } from "./protocol/typedData.ts";
import type { NextStep } from "./schemas.ts";
import { isOpen, type Swap } from "./swap.ts";
import { lockSignatures, nonceOf, permitNonce, typedDataOf } from "./typedData.ts";

type Ready = NextStep["transactions"][number];

/** Marks where in the data the secret goes, which only its owner knows. */
const marker = `0x${createHash("sha256").update("the place of the secret").digest("hex")}` as const;

/** What an external party is waited for, as transactions and typed data. Undefined when nobody external is waited for. */
export async function nextStepOf(
  chains: SwapChains,
  swap: Swap,
  action: Action,
  deadlines: Deadlines,
): Promise<NextStep | undefined> {
  if (action.kind !== "wait" || action.step === undefined) return undefined;
  const { step, until } = action;
  const by = partyOf(step);
  const wanted = [...(step.startsWith("lock-") ? lockKinds(swap, legOf(step)) : []), ...earlyRefunds(swap, by)];
  const [transactions, typedData] = await Promise.all([
    transactionsOf(chains.get(swap.terms[legOf(step)].chain), swap, step),
    Promise.all(wanted.map((each) => signable(chains, swap, each, deadlines))),
  ]);
  return { action: step, by, until, transactions, typedData: typedData.flat() };
}

type Wanted = { readonly leg: LegName; readonly kind: SignatureKind };

/** What the sender of a leg can sign instead of sending its lock, where somebody else would send that. */
const lockKinds = (swap: Swap, leg: LegName): Wanted[] =>
  swap.payer === undefined ? [] : lockSignatures(swap.terms[leg]).map((kind) => ({ leg, kind }));

/** A recipient that wants out can have the other party refunded at once. */
const earlyRefunds = (swap: Swap, by: PartyName): Wanted[] =>
  (["source", "target"] as const)
    .filter((leg) => claimerOf(leg) === by && isOpen(swap.legs[leg]) && swap.legs[leg].lockFinal)
    .filter((leg) => senderOf(swap, `refund-early-${leg}`) !== undefined)
    .map((leg) => ({ leg, kind: "early-refund" }));

async function transactionsOf({ chain }: SwapChain, swap: Swap, step: StepName): Promise<Ready[]> {
  const leg = swap.terms[legOf(step)];
  const on = { chain: leg.chain, chainId: leg.chainId };
  switch (step) {
    case "lock-source":
    case "lock-target": {
      const approve = (await hasAllowance(chain, leg)) ? undefined : approveCall(leg);
      return [
        ...(approve ? [{ what: "approve" as const, ...on, from: leg.sender, ...approve }] : []),
        { what: "lock", ...on, from: leg.sender, ...lockCall(leg, swap.hashlock) },
      ];
    }
    case "claim-source":
    case "claim-target": {
      if (swap.publicSecret) return [{ what: "claim", ...on, ...claimCall(leg, swap.hashlock, swap.publicSecret) }];
      const call = claimCall(leg, swap.hashlock, marker);
      const place = call.data.indexOf(marker.slice(2));
      const data = call.data.replace(marker.slice(2), "00".repeat(32)) as Hex;
      return [{ what: "claim", ...on, ...call, data, secretOffset: (place - 2) / 2 }];
    }
    default:
      return [{ what: "refund", ...on, ...refundCall(leg, swap.hashlock) }];
  }
}

async function signable(
  chains: SwapChains,
  swap: Swap,
  { leg, kind }: Wanted,
  deadlines: Deadlines,
): Promise<NextStep["typedData"]> {
  const at = chains.get(swap.terms[leg].chain);
  const once = await onceOf(at, swap, leg, kind, deadlines);
  const data = once && (await typedDataOf(at.chain, swap, leg, kind, once));
  if (!once || !data) return [];
  const transactions = await approvalFor(at, swap.terms[leg], kind);
  return [{ leg, kind, ...once, typedData: onWire(data), ...(transactions && { transactions }) }];
}

/** Permit2 moves only what its owner has approved it to, which is no part of a lock that the owner sends itself. */
async function approvalFor({ chain }: SwapChain, leg: LegTerms, kind: SignatureKind): Promise<Ready[] | undefined> {
  if (kind !== "permit2" || (await hasAllowance(chain, leg, permit2Address))) return undefined;
  const approve = approveCall(leg, permit2Address);
  return approve && [{ what: "approve", chain: leg.chain, chainId: leg.chainId, from: leg.sender, ...approve }];
}

/**
 * Nonce and deadline that a party is asked to sign, unless it chooses others. A lock's signature ends when the lock would
 * come too late, so that nobody can lock the party's funds in vain with it.
 */
export async function onceOf(
  { chain, timing }: SwapChain,
  swap: Swap,
  leg: LegName,
  kind: SignatureKind,
  deadlines: Deadlines,
): Promise<Once | undefined> {
  const terms = swap.terms[leg];
  if (kind === "early-refund") return { nonce: nonceOf(terms, kind), deadline: terms.timelock };
  const deadline = (leg === "source" ? deadlines.sourceLockBy : deadlines.counterLockBy) + timing.inclusion;
  if (kind !== "permit") return { nonce: nonceOf(terms, kind), deadline };
  const nonce = await permitNonce(chain, terms);
  return nonce === undefined ? undefined : { nonce, deadline };
}

/** As wallets take it: the domain's type among the types, numbers as decimal strings. */
function onWire(data: TypedDataDefinition): Record<string, unknown> {
  const { domain, types, primaryType, message } = data;
  const EIP712Domain = getTypesForEIP712Domain({ domain });
  const whole = { domain, types: { EIP712Domain, ...types }, primaryType, message };
  return parseJson(toJson(whole)) as Record<string, unknown>;
}
