import { randomBytes } from "node:crypto";
import type { TypedDataDefinition } from "viem";
import type { KeyStore } from "#core/chain/keys.ts";
import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Clock } from "#core/kernel/clock.ts";
import { coalesce } from "#core/kernel/coalesce.ts";
import { isRetryable, LockstepError } from "#core/kernel/errors.ts";
import type { Mark } from "#core/kernel/mark.ts";
import type { Log } from "#core/observe/log.ts";
import type { Tracer } from "#core/observe/tracing.ts";
import type { IntentStatus, Sender } from "#core/sender/sender.ts";
import { createAdvance } from "./advance.ts";
import { hasAllowance } from "./assets.ts";
import { isBatchIntent } from "./batches.ts";
import type { SwapChains } from "./chains.ts";
import { deadlinesOf } from "./deadlines.ts";
import { type LegName, type StepName, type SwapEvent, swapStream } from "./events.ts";
import { intentOf } from "./intents.ts";
import { type Action, type Hold, isBeforeLock, isProgress, nextAction } from "./nextAction.ts";
import { isOpenAt } from "./openLock.ts";
import { claimerOf, legOf, lockerOf, managed } from "./parties.ts";
import type { Authorization } from "./protocol/closing.ts";
import { earlyRefundTypedData } from "./protocol/typedData.ts";
import type { SwapIndex } from "./readModel.ts";
import { createRefundPace } from "./refundPace.ts";
import { stepsUnderWay } from "./stepsUnderWay.ts";
import { foldSwap, type Step, type Swap } from "./swap.ts";
import { createDecisionWriter } from "./writer.ts";

/** Drives swaps: each call takes the one next step that the chain and the clock allow, and says when to look again. */
export type SwapDriver = {
  /** Idempotent; safe to call at any time and from several processes. Throws `not-found` for an unknown swap. */
  advance(swapId: string): Promise<void>;
};

type Deps = {
  db: Db;
  store: EventStore;
  sender: Sender;
  chains: SwapChains;
  index: SwapIndex;
  keyStore: Pick<KeyStore, "signTypedData">;
  /** Why nothing more is locked for a swap at present; asked only where a lock would be next. */
  holdOf(swap: Swap): Hold | undefined | Promise<Hold | undefined>;
  /** While true nothing is decided: what is stored is behind the chains. */
  isHeld?(): Promise<boolean>;
  clock: Clock;
  log: Log;
  /** Tells of work while it is done. */
  tracer: Tracer;
  mark?: Mark;
};

/** Milliseconds between two looks at refunds that wait to go together. */
const paceMs = 250;

export function createSwapDriver(deps: Deps): SwapDriver {
  const { db, store } = deps;
  const writer = createDecisionWriter(deps);
  const refundPace = createRefundPace(deps);

  async function load(swapId: string): Promise<Swap> {
    const swap = foldSwap(await store.load<SwapEvent>(db, swapStream(swapId)));
    if (!swap) throw new LockstepError("not-found", "there is no swap with this id", { details: { id: swapId } });
    return swap;
  }

  async function once(swapId: string): Promise<void> {
    const swap = await load(swapId);
    const now = deps.chains.clockTime();
    const failures = await failedSteps(swap, now);
    if (failures.length > 0) return writer.record(swap, failures);
    const deadlines = deadlinesOf(deps.chains.timing(swap.terms.source.chain, swap.terms.target.chain), {
      source: swap.terms.source.timelock,
      target: swap.terms.target.timelock,
    });
    const free = nextAction(swap, deadlines, now);
    const hold = isBeforeLock(free) ? await deps.holdOf(swap) : undefined;
    const action = nextAction(swap, deadlines, now, hold);
    deps.log.debug({ swap: swap.id, action }, "next action");
    if (action.kind !== "step" || !isProgress(swap, action.step)) return act(swap, action, now, deadlines);
    // Claims and refunds must not wait for the other chain, nor believe it; what brings the swap forward must ask both.
    const later = await deps.chains.progressTime(swap.terms.source.chain, swap.terms.target.chain);
    await act(swap, nextAction(swap, deadlines, later, hold), later, deadlines);
  }

  async function act(
    swap: Swap,
    action: Action,
    now: bigint,
    deadlines: ReturnType<typeof deadlinesOf>,
  ): Promise<void> {
    switch (action.kind) {
      case "ended":
        return deps.index.schedule(swap, undefined);
      case "wait":
        return deps.index.schedule(swap, new Date(Number(action.until) * 1000));
      case "giveUp":
        return writer.record(swap, [{ type: "SwapGivenUp", data: { code: action.code, detail: action.detail } }]);
      case "agree":
        await writer.record(swap, [agreement(swap, action.leg)]);
        return deps.mark?.(`agreed/swap.refund-early-${action.leg}`);
      case "step": {
        const chosen = await withApproval(swap, action, now);
        if (chosen === "later") return deps.index.schedule(swap, new Date(Number(now + 1n) * 1000));
        if (chosen === "useless") return writer.record(swap, [uselessApproval(swap, action.step)]);
        const pace = await refundPace(swap, chosen);
        if (pace === "later") return deps.index.schedule(swap, new Date(deps.clock.now() + paceMs));
        const intent = intentOf(swap, chosen, { deadlines, consent: await consentTo(chosen.step, swap) });
        await writer.start({ swap, ...chosen, intent, ...(pace === "together" && { possible: true }) });
      }
    }
  }

  /** A token lock needs an allowance first: the step becomes the approval, unless one is on its way or had no effect. */
  async function withApproval(
    swap: Swap,
    { step, attempt }: { step: StepName; attempt: number },
    now: bigint,
  ): Promise<{ step: StepName; attempt: number } | "later" | "useless"> {
    if (step !== "lock-source" && step !== "lock-target") return { step, attempt };
    const leg = legOf(step);
    const approve: StepName = `approve-${leg}`;
    const current = swap.steps[approve];
    const succeeded = current?.state === "started" && (await hasSucceeded(current));
    if (await isApproved(swap, leg)) return { step, attempt };
    if (succeeded) return "useless";
    if (current?.state === "started" || now < (current?.failure?.retryAt ?? now)) return "later";
    return { step: approve, attempt: (current?.attempt ?? 0) + 1 };
  }

  /** True also where no approval of ours would help: the lock's dry-run then says what an external party lacks. */
  async function isApproved(swap: Swap, leg: LegName): Promise<boolean> {
    const { signatures } = swap.legs[leg];
    const external = managed(swap[lockerOf(leg)]) === undefined;
    if (external && (signatures.permit === undefined || signatures.lock === undefined)) return true;
    return hasAllowance(deps.chains.get(swap.terms[leg].chain).chain, swap.terms[leg]);
  }

  /** What the recipient signed, or signs now that its agreement is on record. */
  async function consentTo(step: StepName, swap: Swap): Promise<Authorization | undefined> {
    if (step !== "refund-early-source" && step !== "refund-early-target") return undefined;
    const leg = legOf(step);
    const { earlyRefund, signatures } = swap.legs[leg];
    const account = managed(swap[claimerOf(leg)]);
    if (!earlyRefund || account === undefined) return signatures["early-refund"];
    const { chainId, timelockContract: contract, lockId } = swap.terms[leg];
    const data = earlyRefundTypedData({ chainId, contract }, lockId, earlyRefund.lockedAt, earlyRefund);
    return { ...earlyRefund, signature: await deps.keyStore.signTypedData(account, data as TypedDataDefinition) };
  }

  async function hasSucceeded(step: Step): Promise<boolean> {
    return (await deps.sender.find(db, step.intentId))?.state === "finalized";
  }

  /** Steps on their way whose intent has ended without the effect. */
  async function failedSteps(swap: Swap, now: bigint): Promise<SwapEvent[]> {
    const failures: SwapEvent[] = [];
    for (const [step, { attempt, intentId }] of stepsUnderWay(swap)) {
      const intent = await deps.sender.find(db, intentId);
      const failure = failureOf(intent) ?? (await skipped(swap, step, intentId, intent));
      if (!failure) continue;
      const data = { step, attempt, ...failure, retryAt: now + retrySeconds(step, attempt) };
      failures.push({ type: "StepFailed", data });
      // Abandoned means voided before the first byte: whatever the mark says, nobody has seen the secret.
      if (step === "claim-target" && swap.revealStarted && intent?.state === "abandoned") {
        failures.push({ type: "RevealWithdrawn", data: { intentId } });
      }
    }
    return failures;
  }

  /**
   * A batch of claims or refunds passes over what it cannot close. The indexer may only not have come to what it did, so
   * the chain is asked, at a final block no older than the transaction's. What it cannot say now is found out later.
   */
  async function skipped(swap: Swap, step: StepName, intentId: string, intent: IntentStatus | undefined) {
    if (step === "lock-target" || !isBatchIntent(intentId) || intent?.state !== "finalized") return undefined;
    const leg = legOf(step);
    const { chain } = deps.chains.get(swap.terms[leg].chain);
    try {
      const final = await chain.block("final");
      if (!final || final.number < intent.blockNumber) return undefined;
      if (!(await isOpenAt(chain, swap, leg, final.number))) return undefined;
    } catch (error) {
      if (isRetryable(error)) return undefined;
      throw error;
    }
    return { code: "intent-skipped", detail: `transaction ${intent.hash} left it out` };
  }

  const advance = createAdvance(deps, once);
  return { advance: coalesce((id) => deps.tracer.scope(swapStream(id), "swap.advance", () => advance(id))) };
}

function uselessApproval(swap: Swap, step: StepName): SwapEvent {
  const { asset, chain } = swap.terms[legOf(step)];
  const token = asset.type === "native" ? chain : asset.address;
  return {
    type: "SwapGivenUp",
    data: { code: "token-invalid", detail: `approving ${token} on ${chain} had no effect` },
  };
}

/** On record before the signature is made: from then on the target leg is neither locked nor claimed. */
function agreement(swap: Swap, leg: LegName): SwapEvent {
  const lockedAt = swap.legs[leg].lock?.at ?? 0n;
  const nonce = BigInt(`0x${randomBytes(32).toString("hex")}`);
  return { type: "EarlyRefundAgreed", data: { leg, lockedAt, nonce, deadline: swap.terms[leg].timelock } };
}

function failureOf(intent: IntentStatus | undefined): { code: string; detail: string } | undefined {
  if (intent?.state === "abandoned") return { code: `intent-${intent.reason}`, detail: intent.detail };
  if (intent?.state === "finalized" && intent.status === "reverted") {
    return { code: "intent-reverted", detail: `transaction ${intent.hash} reverted` };
  }
  return undefined;
}

/**
 * 1, 2, 4 … seconds between attempts of a step. Steps forward end by their deadlines, and claims with a public secret are
 * urgent; a refund that a token refuses may be refused for ever, so it is tried ever more seldom.
 */
function retrySeconds(step: StepName, attempt: number): bigint {
  const most = step.startsWith("claim-") ? 4 : step.startsWith("refund-") ? 3_600 : 30;
  return BigInt(Math.min(most, 2 ** Math.min(attempt - 1, 20)));
}
