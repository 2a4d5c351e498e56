import { LockstepError } from "#core/kernel/errors.ts";
import type { Call, IntentRequest } from "#core/sender/sender.ts";
import type { Deadlines } from "./deadlines.ts";
import { type LegName, type LegTerms, type StepName, swapStream } from "./events.ts";
import {
  approveCall,
  claimCall,
  earlyRefundCall,
  lockCall,
  permitCall,
  refundCall,
  signedLockCall,
} from "./legCalls.ts";
import { legOf, lockerOf, managed, senderOf } from "./parties.ts";
import type { Authorization } from "./protocol/closing.ts";
import type { Swap } from "./swap.ts";

/**
 * Gas limits are fixed, never estimated: an estimate of a claim would hand the secret to an endpoint. Well above what
 * the timelock needs (49,000 native, 70,000 ERC-20), so that tokens with expensive transfers fit.
 */
export const gasOf = { approve: 120_000n, lock: 300_000n, claim: 300_000n, refund: 300_000n } as const;

/** The name under which the call that carries the secret is made at signing time. */
export const claimBuilder = "swap.claim-target";

/**
 * The intent of a step; `consent` is what the recipient signed for an early refund. Ids carry the attempt: a step is
 * tried again only after its last intent has ended.
 */
export function intentOf(
  swap: Swap,
  { step, attempt }: { readonly step: StepName; readonly attempt: number },
  { deadlines, consent }: { readonly deadlines: Deadlines; readonly consent?: Authorization | undefined },
): IntentRequest {
  const leg = legOf(step);
  const account = senderOf(swap, step);
  if (account === undefined) throw new LockstepError("internal", `${step} is an external party's to send`);
  const base = {
    id: `${swapStream(swap.id)}-${step}-${attempt}`,
    chain: swap.terms[leg].chain,
    account,
    kind: `swap.${step}`,
    subject: swapStream(swap.id),
    dryRun: true,
    ...(step.startsWith("claim-") && { urgency: urgencyOf(swap.terms[leg]) }),
  };
  switch (step) {
    case "approve-source":
    case "approve-target":
      return { ...base, call: allowanceCall(swap, leg), gas: gasOf.approve };
    case "lock-source":
      return { ...base, call: lockingCall(swap, leg), gas: gasOf.lock, notAfter: deadlines.sourceLockBy };
    case "lock-target":
      return { ...base, call: lockingCall(swap, leg), gas: gasOf.lock, notAfter: deadlines.counterLockBy };
    case "claim-target": {
      // A secret that is public already can be seen by everybody, the store included.
      if (swap.publicSecret) return { ...base, call: publicClaim(swap, leg), gas: gasOf.claim, dryRun: false };
      // With the mark the secret counts as public, and the claim is driven to its end whatever the hour.
      const notAfter = swap.revealStarted ? {} : { notAfter: deadlines.revealBy };
      const call = { builder: claimBuilder, ref: { swap: swap.id } };
      return { ...base, call, gas: gasOf.claim, dryRun: false, ...notAfter };
    }
    case "claim-source":
      return { ...base, call: publicClaim(swap, leg), gas: gasOf.claim, dryRun: false };
    case "refund-source":
    case "refund-target":
      return { ...base, call: refundCall(swap.terms[leg], swap.hashlock), gas: gasOf.refund };
    case "refund-early-source":
    case "refund-early-target": {
      if (!consent) throw new LockstepError("internal", "an early refund needs what the recipient signed");
      const { timelock } = swap.terms[leg];
      const call = earlyRefundCall(swap.terms[leg], swap.hashlock, consent);
      return { ...base, call, gas: gasOf.refund, notAfter: least(consent.deadline, timelock) };
    }
  }
}

/** A signature may be good for ever, and an early refund is of use until the ordinary one is possible. */
const least = (a: bigint, b: bigint) => (a < b ? a : b);

/** A claim is worth its leg until the timelock; in wei only where the leg is the chain's own coin. */
const urgencyOf = ({ asset, amount, timelock }: LegTerms): NonNullable<IntentRequest["urgency"]> =>
  asset.type === "native" ? { by: timelock, worth: amount } : { by: timelock };

function publicClaim(swap: Swap, leg: LegName): Call {
  const { publicSecret } = swap;
  if (!publicSecret) throw new LockstepError("internal", "this claim is made only with a published secret");
  return claimCall(swap.terms[leg], swap.hashlock, publicSecret);
}

/** The party's own lock, or the one that an external party signed. */
function lockingCall(swap: Swap, leg: LegName): Call {
  const terms = swap.terms[leg];
  if (managed(swap[lockerOf(leg)]) !== undefined) return lockCall(terms, swap.hashlock);
  const { permit2, lock } = swap.legs[leg].signatures;
  const signed = lock ?? permit2;
  if (!signed) throw new LockstepError("internal", "an external party's lock is sent only with its signature");
  return signedLockCall(terms, swap.hashlock, lock ? "lock" : "permit2", signed);
}

/** The party's own approval, or the permit that an external party signed. */
function allowanceCall(swap: Swap, leg: LegName): Call {
  const terms = swap.terms[leg];
  const permit = swap.legs[leg].signatures.permit;
  const own = managed(swap[lockerOf(leg)]) !== undefined;
  const call = own ? approveCall(terms) : permit && permitCall(terms, permit);
  if (!call) throw new LockstepError("internal", "nothing is to be approved, or nobody may");
  return call;
}
