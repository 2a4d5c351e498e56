import { randomUUID } from "node:crypto";
import { encodeFunctionData, zeroAddress } from "viem";
import { hashedTimelockAbi as abi } from "#core/abi/hashedTimelock.ts";
import type { IntentRequest } from "#core/sender/sender.ts";
import { type BatchEvent, batchStream, type StepName, type SwapEvent } from "./events.ts";
import { gasOf } from "./intents.ts";
import { lockIdOf, lockOf } from "./legCalls.ts";
import { legOf, lockerOf, managed } from "./parties.ts";
import { leafId } from "./protocol/lockId.ts";
import type { Swap } from "./swap.ts";

/** The next step of a swap, decided and not written yet. */
export type StepDecision = {
  readonly swap: Swap;
  readonly step: StepName;
  readonly attempt: number;
  /** What the step takes alone. */
  readonly intent: IntentRequest;
  /** Of a refund: the chain has a block from which on it is possible. */
  readonly possible?: true;
};

/** One transaction for the steps of several swaps. */
export type Batch = {
  readonly intent: IntentRequest;
  readonly stream: string;
  readonly started: BatchEvent;
  /** What each swap's stream is told, in the order of the decisions. */
  readonly events: readonly (readonly SwapEvent[])[];
};

/**
 * Most steps in one transaction: with a limit of 300,000 gas a claim it stays under a third of what a transaction may
 * take (2^24 by EIP-7825).
 */
const mostTogether = 16;

/** A batch of claims or refunds that is not signed by then is tried one by one. */
const patienceSeconds = 15n;

/** Measured by `bench -- swap`: an entry takes 7,000 gas of many, and 30,000 of two. */
const gasOfLocks = (count: number) => 300_000n + 15_000n * BigInt(count);
const gasOfClaims = (count: number) => 100_000n + gasOf.claim * BigInt(count);
const gasOfRefunds = (count: number) => 100_000n + gasOf.refund * BigInt(count);

/**
 * What goes together where that is cheaper, which it is from two on: counter-locks of one account in one asset under one
 * root, and claims with public secrets or refunds that one account sends. A step is tried together with others only once, so that
 * one that fails keeps nothing from them the next time. What is left goes alone.
 */
export function formBatches<D extends StepDecision>(decisions: readonly D[]): { batches: D[][]; alone: D[] } {
  const groups = Map.groupBy(decisions, (decision) => keyOf(decision) ?? decision.intent.id);
  const batches: D[][] = [];
  const alone: D[] = [];
  for (const group of groups.values()) {
    for (let from = 0; from < group.length; from += mostTogether) {
      const part = group.slice(from, from + mostTogether);
      if (part.length > 1) batches.push(part);
      else alone.push(...part);
    }
  }
  return { batches, alone };
}

const intentPrefix = "swap-batch-";
/** True for an intent that does a step of several swaps. Of claims and refunds one can be left out by the contract. */
export const isBatchIntent = (intentId: string): boolean => intentId.startsWith(intentPrefix);

/** The intent of a batch, by the batch's stream. */
export const batchIntentOf = (stream: string): string => `${intentPrefix}${stream.slice(batchStream("").length)}`;

/** True for a step that can go together with others. */
export const isBatchable = (decision: StepDecision): boolean => keyOf(decision) !== undefined;

/** The same for steps that can go together. */
function keyOf({ swap, step, attempt, intent, possible }: StepDecision): string | undefined {
  const isRefund = step === "refund-source" || step === "refund-target";
  if (attempt > 1 || !(step === "lock-target" || step === "claim-source" || (isRefund && possible))) return undefined;
  const leg = legOf(step);
  const terms = swap.terms[leg];
  const { kind, terms: lock } = lockOf(terms, swap.hashlock);
  if (kind !== "payment") return undefined;
  const common = [step, terms.chain, terms.timelockContract, intent.account];
  if (isRefund) return common.join(" ");
  // What has no worth in coin has another bound to its price.
  if (step === "claim-source") return [...common, intent.urgency?.worth !== undefined].join(" ");
  // A lock that an external party signed names its own terms.
  if (managed(swap[lockerOf(leg)]) === undefined) return undefined;
  return [...common, lock.sender, lock.token, lock.tip].join(" ");
}

/** At least two decisions of one group. */
export function batchOf(decisions: readonly StepDecision[], now: bigint): Batch {
  const [first] = decisions;
  if (!first) throw new RangeError("a batch has an entry");
  const id = randomUUID();
  const { chain } = first.intent;
  const stream = batchStream(id);
  const base = { id: batchIntentOf(stream), chain, account: first.intent.account, subject: stream };
  const data = { step: first.step, chain, swaps: decisions.map(({ swap }) => swap.id) };
  const started: BatchEvent = { type: "StepsBatched", data };
  const stepStarted = ({ step, attempt }: StepDecision): SwapEvent => ({
    ...{ type: "StepStarted", data: { step, attempt, intentId: base.id } },
  });
  if (first.step !== "lock-target") {
    const closing = first.step === "claim-source" ? claims(decisions, now) : refunds(decisions, now);
    const intent = { ...base, kind: `swap.${first.step}-batch`, ...closing };
    return { intent, stream, started, events: decisions.map((each) => [stepStarted(each)]) };
  }
  const { leaves, ...locks } = lockAll(decisions);
  return {
    intent: { ...base, kind: "swap.lock-target-batch", ...locks },
    ...{ stream, started },
    events: decisions.map((each, index) => {
      const placed = { leg: legOf(each.step), lockId: leaves[index] ?? "0x", batch: { index, leaves } };
      return [{ type: "LegPlaced", data: placed }, stepStarted(each)];
    }),
  };
}

/** An entry of a batch that comes back to a lock of its own has the id of that again. */
export function placedAlone({ swap, step }: StepDecision): SwapEvent[] {
  const leg = legOf(step);
  if (step !== "lock-target" || !swap.terms[leg].batch) return [];
  const { batch: _left, ...terms } = swap.terms[leg];
  return [{ type: "LegPlaced", data: { leg, lockId: lockIdOf(terms, swap.hashlock) } }];
}

function lockAll(decisions: readonly StepDecision[]) {
  const locks = decisions.map(({ swap, step }) => ({ ...swap.terms[legOf(step)], hashlock: swap.hashlock }));
  const [first] = locks;
  if (!first) throw new RangeError("a batch has an entry");
  const { chainId, timelockContract: to, asset, tip } = first;
  const token = asset.type === "native" ? zeroAddress : asset.address;
  const leaves = locks.map((lock, index) => leafId(chainId, to, { ...lock, token }, index));
  const data = encodeFunctionData({ abi, functionName: "lockBatch", args: [token, tip, locks] });
  const coin = asset.type === "native" ? locks.reduce((sum, { amount }) => sum + amount, 0n) : 0n;
  const deadlines = decisions.flatMap(({ intent }) => intent.notAfter ?? []);
  return {
    leaves,
    call: { to, data, value: coin + tip * BigInt(locks.length) },
    gas: gasOfLocks(locks.length),
    dryRun: true,
    // No entry is locked later than it would be alone.
    ...(deadlines.length > 0 && { notAfter: deadlines.reduce((a, b) => (a < b ? a : b)) }),
  };
}

function claims(decisions: readonly StepDecision[], now: bigint) {
  const entries = decisions.flatMap(({ swap, step }) => {
    const lock = lockOf(swap.terms[legOf(step)], swap.hashlock);
    return lock.kind === "payment" && swap.publicSecret ? [{ terms: lock.terms, secret: swap.publicSecret }] : [];
  });
  const to = decisions[0]?.swap.terms.source.timelockContract ?? "0x";
  const urgencies = decisions.flatMap(({ intent }) => intent.urgency ?? []);
  const by = urgencies.map((each) => each.by).reduce((a, b) => (a < b ? a : b));
  const worths = urgencies.flatMap(({ worth }) => worth ?? []);
  const gas = gasOfClaims(entries.length);
  // The price that the most valuable one would be worth alone: together they take less gas than one may.
  const worth = worths.reduce((most, each) => (each > most ? each : most), 0n);
  return {
    call: { to, data: encodeFunctionData({ abi, functionName: "claimBatch", args: [entries] }), value: 0n },
    gas,
    dryRun: false,
    // An account that cannot pay for all of them at once may be able to for each.
    signBy: now + patienceSeconds,
    urgency: { by, ...(worths.length > 0 && { worth: (worth * gas) / gasOf.claim }) },
  };
}

function refunds(decisions: readonly StepDecision[], now: bigint) {
  const terms = decisions.flatMap(({ swap, step }) => {
    const lock = lockOf(swap.terms[legOf(step)], swap.hashlock);
    return lock.kind === "payment" ? [lock.terms] : [];
  });
  const [first] = decisions;
  const to = first?.swap.terms[legOf(first.step)].timelockContract ?? "0x";
  return {
    call: { to, data: encodeFunctionData({ abi, functionName: "refundBatch", args: [terms] }), value: 0n },
    gas: gasOfRefunds(terms.length),
    dryRun: false,
    signBy: now + patienceSeconds,
  };
}
