import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { type SwapEvent, swapStream } from "../events.ts";
import { legOf, senderOf } from "../parties.ts";
import { foldSwap, type Swap } from "../swap.ts";
import { type ApprovalPolicy, approvalMissing } from "./approval.ts";
import type { LockStep } from "./approver.ts";
import { deciderName } from "./deciders.ts";

type Word = { readonly by: string; readonly reason?: string | undefined; readonly step?: LockStep | undefined };

/** Writes what was decided about the locks of a swap. */
export type Decisions = {
  /**
   * Approves one lock, or all that are still to be approved. What is approved already is left as it is. Throws
   * `not-found`, and `swap-not-waiting` where nothing waits for it.
   */
  approve(swapId: string, word: Word): Promise<void>;
  /**
   * Gives the swap up for good with the code `rejected`. Throws `not-found`, and `swap-not-waiting` once nothing is to be
   * locked any more.
   */
  reject(swapId: string, word: Word): Promise<void>;
};

/** A change by somebody else between reading and writing; read again this often. */
const conflictAttempts = 5;
const steps: readonly LockStep[] = ["lock-source", "lock-target"];

export function createDecisions(deps: { db: Db; store: EventStore; policy: ApprovalPolicy }): Decisions {
  const { db, store, policy } = deps;

  async function write(swapId: string, decide: (swap: Swap) => SwapEvent[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        const swap = foldSwap(await store.load<SwapEvent>(db, swapStream(swapId)));
        if (!swap) throw new LockstepError("not-found", "there is no swap with this id", { details: { field: "id" } });
        const events = decide(swap);
        if (events.length === 0) return;
        return await db.tx(async (tx) => {
          await store.append(tx, [{ stream: swapStream(swap.id), expected: swap.version, events }]);
        });
      } catch (error) {
        if (!isLockstepError(error, "conflict") || attempt === conflictAttempts) throw error;
      }
    }
  }

  return {
    approve: (swapId, word) => write(swapId, (swap) => approval(policy, swap, word)),
    reject: (swapId, word) => write(swapId, (swap) => rejection(swap, word)),
  };
}

/** The events of an approval; none where it was given before. */
export function approval(policy: ApprovalPolicy, swap: Swap, { by, reason, step }: Word): SwapEvent[] {
  const named = step === undefined ? steps : [step];
  if (swap.givenUp) throw unwanted(`the swap was given up: ${swap.givenUp.detail}`);
  const missing = named.filter((each) => isToMake(swap, each) && approvalMissing(policy, swap, each));
  if (missing.length === 0 && !named.some((each) => swap.approved.includes(each))) {
    throw unwanted("no lock of it waits for an approval");
  }
  return missing.map((each) => ({
    type: "SwapApproved",
    data: { step: each, by, ...(reason !== undefined && { detail: reason }) },
  }));
}

/** The events of a rejection; none where it was rejected before. */
export function rejection(swap: Swap, { by, reason, step }: Word): SwapEvent[] {
  if (swap.givenUp?.code === "rejected") return [];
  if (swap.givenUp) throw unwanted(`the swap was given up: ${swap.givenUp.detail}`);
  const toMake = steps.filter((each) => isToMake(swap, each) && senderOf(swap, each) !== undefined);
  const rejected = step ?? toMake[0];
  if (rejected === undefined || !toMake.includes(rejected) || swap.revealStarted || swap.publicSecret) {
    throw unwanted("the service makes no lock for it any more that could be rejected");
  }
  const detail = `${rejected} was rejected by ${deciderName(by)}${reason === undefined ? "" : `: ${reason}`}`;
  return [
    { type: "SwapRejected", data: { step: rejected, by, detail: reason ?? "without words" } },
    { type: "SwapGivenUp", data: { code: "rejected", detail } },
  ];
}

const isToMake = ({ legs }: Swap, step: LockStep): boolean => legs[legOf(step)].lock === undefined;

const unwanted = (why: string) => new LockstepError("swap-not-waiting", why);
