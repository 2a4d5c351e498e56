import { encodeFunctionData, erc20Abi, maxUint256, zeroAddress } from "viem";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { Call, IntentRequest } from "#core/sender/sender.ts";
import type { Deadlines } from "./deadlines.ts";
import { type LegName, type LegTerms, type StepName, swapStream } from "./events.ts";
import { encodeClaim, encodeLock, encodeRefund, type LockTerms, lockValue } from "./protocol/timelock.ts";
import type { Swap } from "./swap.ts";

/**
 * Gas limits are fixed, never estimated: an estimate of a claim would hand the secret to an endpoint. Well above what
 * the timelock needs (49,000 native, 70,000 ERC-20), so that tokens with expensive transfers fit.
 */
export const gasOf = { approve: 120_000n, lock: 300_000n, claim: 300_000n, refund: 300_000n } as const;

/** The name under which the call that carries the secret is made at signing time. */
export const claimBuilder = "swap.claim-target";

export const lockTermsOf = (leg: LegTerms, hashlock: Hex): LockTerms => ({
  sender: leg.sender,
  recipient: leg.recipient,
  token: leg.asset.type === "native" ? zeroAddress : leg.asset.address,
  amount: leg.amount,
  hashlock,
  timelock: leg.timelock,
  tip: leg.tip,
});

/** The claim of the target leg, which publishes the secret. */
export const claimCall = (swap: Swap, leg: LegName, secret: Hex): Call => ({
  to: swap.terms[leg].timelockContract,
  data: encodeClaim(lockTermsOf(swap.terms[leg], swap.hashlock), secret),
  value: 0n,
});

/** The intent of a step. Ids carry the attempt: a step is tried again only after its last intent has ended. */
export function intentOf(swap: Swap, step: StepName, attempt: number, deadlines: Deadlines): IntentRequest {
  const leg: LegName = step.endsWith("source") ? "source" : "target";
  const terms = swap.terms[leg];
  const base = {
    id: `${swapStream(swap.id)}-${step}-${attempt}`,
    chain: terms.chain,
    kind: `swap.${step}`,
    subject: swapStream(swap.id),
  };
  const locker = leg === "source" ? swap.initiator.account : swap.counterparty.account;
  const claimer = leg === "source" ? swap.counterparty.account : swap.initiator.account;
  switch (step) {
    case "approve-source":
    case "approve-target":
      return { ...base, account: locker, call: approveCall(terms), gas: gasOf.approve, dryRun: true };
    case "lock-source":
      return {
        ...base,
        account: locker,
        call: lockCall(swap, leg),
        gas: gasOf.lock,
        dryRun: true,
        notAfter: deadlines.sourceLockBy,
      };
    case "lock-target":
      return {
        ...base,
        account: locker,
        call: lockCall(swap, leg),
        gas: gasOf.lock,
        dryRun: true,
        notAfter: deadlines.counterLockBy,
      };
    case "claim-target": {
      // With the mark the secret counts as public, and the claim is driven to its end whatever the hour.
      const notAfter = swap.revealStarted ? {} : { notAfter: deadlines.revealBy };
      const call = { builder: claimBuilder, ref: { swap: swap.id } };
      return { ...base, account: claimer, call, gas: gasOf.claim, dryRun: false, ...notAfter };
    }
    case "claim-source": {
      const secret = swap.legs.target.end?.secret;
      if (!secret) throw new LockstepError("internal", "the source leg is claimed only with a published secret");
      return { ...base, account: claimer, call: claimCall(swap, leg, secret), gas: gasOf.claim, dryRun: false };
    }
    case "refund-source":
    case "refund-target": {
      const data = encodeRefund(lockTermsOf(terms, swap.hashlock));
      return {
        ...base,
        account: locker,
        call: { to: terms.timelockContract, data, value: 0n },
        gas: gasOf.refund,
        dryRun: true,
      };
    }
  }
}

function lockCall(swap: Swap, leg: LegName): Call {
  const terms = lockTermsOf(swap.terms[leg], swap.hashlock);
  return { to: swap.terms[leg].timelockContract, data: encodeLock(terms), value: lockValue(terms) };
}

/**
 * Once and for the largest amount: the spender is an immutable contract that moves a sender's tokens only in a lock the
 * sender itself calls, and one approval a swap would cost a transaction each.
 */
function approveCall(terms: LegTerms): Call {
  if (terms.asset.type !== "erc20") throw new LockstepError("internal", "only tokens are approved");
  const data = encodeFunctionData({
    abi: erc20Abi,
    functionName: "approve",
    args: [terms.timelockContract, maxUint256],
  });
  return { to: terms.asset.address, data, value: 0n };
}
