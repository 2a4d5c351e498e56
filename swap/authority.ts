import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { type Caller, mayActFor, requireAccount } from "#core/http/access.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { LockStep } from "./brakes/approver.ts";
import { type SwapEvent, swapStream } from "./events.ts";
import { managed, senderOf } from "./parties.ts";
import type { SettledRequest } from "./request.ts";
import { foldSwap, type Swap } from "./swap.ts";

/** What a caller whose key is for some managed accounts may do to a swap. All throw `forbidden`, naming the field. */
export type SwapAuthority = {
  /** The caller may act for one of the swap's managed parties; where it has none, for nobody's account. */
  requireParty(caller: Caller | undefined, swapId: string): Promise<void>;
  /** The caller may act for whoever makes the lock named, or for those of both. */
  requireLocker(caller: Caller | undefined, swapId: string, step: LockStep | undefined): Promise<void>;
};

const lockSteps: readonly LockStep[] = ["lock-source", "lock-target"];

export function createSwapAuthority({ db, store }: { db: Db; store: EventStore }): SwapAuthority {
  /** Undefined where there is nothing to check: nothing is read for callers that may act for all. */
  async function limited(caller: Caller | undefined, swapId: string): Promise<Swap | undefined> {
    if (caller?.accounts === undefined) return undefined;
    return foldSwap(await store.load<SwapEvent>(db, swapStream(swapId)));
  }
  return {
    async requireParty(caller, swapId) {
      const swap = await limited(caller, swapId);
      if (!swap) return;
      const accounts = [swap.initiator, swap.counterparty].flatMap((party) => managed(party) ?? []);
      if (accounts.length === 0 || accounts.some((account) => mayActFor(caller, account))) return;
      throw new LockstepError("forbidden", "id: the caller may act for no account that is a party to the swap", {
        details: { field: "id", accounts },
      });
    },
    async requireLocker(caller, swapId, step) {
      const swap = await limited(caller, swapId);
      if (!swap) return;
      for (const each of step === undefined ? lockSteps : [step]) {
        const account = senderOf(swap, each);
        if (account !== undefined) requireAccount(caller, account, step === undefined ? "id" : "step");
      }
    },
  };
}

/**
 * Whoever requests a swap may act for all managed accounts that it gives away from. Where the desk takes the other side
 * that account is not asked for: the desk has its own say, as the operator's policy has about who pays for two others.
 */
export function requireParties(caller: Caller | undefined, { body, deal }: SettledRequest): void {
  for (const name of deal ? (["initiator"] as const) : (["initiator", "counterparty"] as const)) {
    const party = body[name];
    if ("account" in party) requireAccount(caller, party.account, `${name}.account`);
  }
}
