import type { Chain } from "#core/chain/chain.ts";
import type { Db } from "#core/db/db.ts";
import type { EventStore } from "#core/events/store.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { isLockstepError, LockstepError } from "#core/kernel/errors.ts";
import { gather, togetherOrAlone } from "#core/kernel/gather.ts";
import type { Mark } from "#core/kernel/mark.ts";
import type { IntentGuard } from "#core/sender/sender.ts";
import { membersOf } from "./batchMembers.ts";
import type { Brakes } from "./brakes/brakes.ts";
import type { SwapChains } from "./chains.ts";
import { deadlinesOf } from "./deadlines.ts";
import { type LegName, type SwapEvent, swapStream } from "./events.ts";
import { gasOf } from "./intents.ts";
import { payoutCall } from "./legCalls.ts";
import { isOpenAt } from "./openLock.ts";
import type { Repricing } from "./quotes/repricing.ts";
import type { Reserves } from "./reserves.ts";
import { foldSwap, type Swap } from "./swap.ts";

type Deps = {
  db: Db;
  store: EventStore;
  chains: SwapChains;
  /** What operators may have said since the lock was decided. */
  brakes?: Pick<Brakes, "refusal">;
  /** Whether the account could still pay for claims and refunds. */
  reserves?: Pick<Reserves, "shortage">;
  /** Whether the desk still stands by what it agreed to. */
  repricing?: Pick<Repricing, "declines">;
  mark?: Mark;
};
type Verdict = Awaited<ReturnType<IntentGuard>>;

/** Marks that are written in one transaction. */
const mostMarks = 50;

/**
 * The last check of the steps that cannot be taken back, made by the sender right before the first byte leaves:
 * what the step rests on is read again at a final block, and the deadline is computed again. A refusal voids the nonce.
 */
export function createSwapGuards(deps: Deps): Readonly<Record<string, IntentGuard>> {
  const markReveal = createRevealMarks(deps);
  return {
    "swap.lock-source": async ({ subject }) => {
      const swap = await load(deps, subject);
      const refusal = await firstRefusal([wasLocked(swap, "source"), tooShort(deps, swap, "source")]);
      return refusal ?? (await braked(deps, [subject], "lock-source")) ?? { send: true };
    },
    "swap.lock-target": async ({ subject }) =>
      (await notCounterLocked(deps, subject)) ?? (await braked(deps, [subject], "lock-target")) ?? { send: true },
    "swap.lock-target-batch": async ({ subject }) => {
      const swaps = (await membersOf(deps, subject)).swaps.map(swapStream);
      // All or none: what is refused is tried again, each by itself.
      const refusal =
        (await firstRefusal(swaps.map((swap) => notCounterLocked(deps, swap)))) ??
        (await braked(deps, swaps, "lock-target"));
      return refusal ?? { send: true };
    },
    "swap.claim-target": async ({ subject }) => {
      const swap = await load(deps, subject);
      if (swap.publicSecret || swap.secretMined) return { send: true };
      const refusal = await firstRefusal([
        notTakenFurther(swap),
        tooLate(deps, swap, "revealBy"),
        standsStill(deps, swap),
        notLocked(deps, swap, "source"),
        notLocked(deps, swap, "target"),
        payoutFails(deps, swap, "target"),
      ]);
      // With a mark of before, no byte has left all the same: this is asked only as long as none has.
      return refusal ?? (swap.revealStarted ? { send: true } : markReveal(swap));
    },
  };
}

/** Why the target leg is not locked now. */
async function notCounterLocked(deps: Deps, stream: string): Promise<Verdict | undefined> {
  const swap = await load(deps, stream);
  return firstRefusal([
    wasLocked(swap, "target"),
    notTakenFurther(swap),
    tooLate(deps, swap, "counterLockBy"),
    standsStill(deps, swap),
    notLocked(deps, swap, "source"),
    payoutFails(deps, swap, "source"),
    tooShort(deps, swap, "target"),
    priceMoved(deps, swap),
  ]);
}

async function priceMoved({ repricing }: Deps, swap: Swap): Promise<Verdict | undefined> {
  const why = await repricing?.declines(swap);
  return why === undefined ? undefined : refuse(`price-moved: ${why}`);
}

/** Whoever locks must be able to close: what it has is counted again against all its open swaps at the price of now. */
async function tooShort({ reserves }: Deps, swap: Swap, leg: LegName): Promise<Verdict | undefined> {
  const why = await reserves?.shortage(swap, leg);
  return why === undefined ? undefined : refuse(`reserve-short: ${why}`);
}

type Check = Verdict | undefined | Promise<Verdict | undefined>;

/** Everything is asked at once, since the transactions behind this one wait for the answers. */
async function firstRefusal(checks: readonly Check[]): Promise<Verdict | undefined> {
  return (await Promise.all(checks)).find((verdict) => verdict !== undefined);
}

const refuse = (detail: string): Verdict => ({ send: false, detail });

async function load({ db, store }: Deps, stream: string): Promise<Swap> {
  const swap = foldSwap(await store.load<SwapEvent>(db, stream));
  if (!swap) throw new LockstepError("not-found", "there is no swap with this id", { details: { id: stream } });
  return swap;
}

async function tooLate(deps: Deps, swap: Swap, step: "counterLockBy" | "revealBy"): Promise<Verdict | undefined> {
  const { source, target } = swap.terms;
  const timelocks = { source: source.timelock, target: target.timelock };
  const deadline = deadlinesOf(deps.chains.timing(source.chain, target.chain), timelocks)[step];
  const now = await deps.chains.progressTime(source.chain, target.chain);
  return now > deadline ? refuse(`safe only until ${deadline}, and it is ${now}`) : undefined;
}

/** The lock id hashes every term, so an open slot under it is a lock of exactly these terms. */
async function notLocked(deps: Deps, swap: Swap, leg: LegName): Promise<Verdict | undefined> {
  const { chain } = deps.chains.get(swap.terms[leg].chain);
  const final = await chain.block("final");
  if (!final) return refuse(`${chain.name} has no final block`);
  const isThere = await isOpenAt(chain, swap, leg, final.number);
  return isThere ? undefined : refuse(`the ${leg} leg is not locked at final block ${final.number}`);
}

/** A chain that stands still, or whose finality lags further behind than deadlines count with, is unsafe, not slow. */
async function standsStill({ chains }: Deps, swap: Swap): Promise<Verdict | undefined> {
  const now = chains.clockTime();
  const verdicts = (["source", "target"] as const).map(async (leg) => {
    const { chain, timing, idles } = chains.get(swap.terms[leg].chain);
    const [latest, final] = await Promise.all([chain.block("latest"), chain.block("final")]);
    if (!latest || !final) return refuse(`${chain.name} has no final block`);
    const oldest = timing.inclusion + timing.skew;
    if (!idles && now - latest.timestamp > oldest) {
      return refuse(`the newest block of ${chain.name} is ${now - latest.timestamp} s old; its bound is ${oldest} s`);
    }
    const lag = latest.timestamp - final.timestamp;
    const bound = timing.finality + timing.inclusion + timing.skew;
    return lag > bound
      ? refuse(`the final block of ${chain.name} is ${lag} s behind; its bound is ${bound} s`)
      : undefined;
  });
  return firstRefusal(verdicts);
}

/** Asked last, when the chains have answered: what operators say counts from the moment that it is written. */
async function braked(
  deps: Deps,
  streams: readonly string[],
  step: "lock-source" | "lock-target",
): Promise<Verdict | undefined> {
  return firstRefusal(
    streams.map(async (stream) => {
      const swap = await load(deps, stream);
      const detail = await deps.brakes?.refusal(swap, step);
      const unknown = swap.restored && refuse("a lock of it may have been sent before the database was restored");
      return notTakenFurther(swap) ?? unknown ?? (detail === undefined ? undefined : refuse(detail));
    }),
  );
}

/** The same terms can be locked again once they are closed, and by then the secret may be public. */
function wasLocked({ legs }: Swap, leg: LegName): Verdict | undefined {
  return legs[leg].lock || legs[leg].end ? refuse(`the ${leg} leg was locked already`) : undefined;
}

/** Given up, or a recipient may already have signed that a leg is refunded. */
function notTakenFurther({ givenUp, legs }: Swap): Verdict | undefined {
  if (givenUp) return refuse(`the swap was given up: ${givenUp.detail}`);
  const agreed = (["source", "target"] as const).find(
    (leg) => legs[leg].earlyRefund ?? legs[leg].signatures["early-refund"],
  );
  return agreed && refuse(`an early refund of the ${agreed} leg was agreed to`);
}

/** The claim itself is never simulated, it would show the endpoint the secret; what it would pay out is. */
async function payoutFails(deps: Deps, swap: Swap, leg: LegName): Promise<Verdict | undefined> {
  const payout = payoutCall(swap.terms[leg]);
  // A rejected coin payout is credited to the receiver, it does not fail.
  if (!payout) return undefined;
  return simulate(deps.chains.get(swap.terms[leg].chain).chain, { ...payout, gas: payoutGas });
}

/** What a claim's fixed gas limit leaves for the token's transfer. */
const payoutGas = gasOf.claim - 60_000n;

/** As the contract judges it: a token that returns nothing has transferred, one that returns anything but true has not. */
const hasTransferred = (answer: Hex): boolean => answer === "0x" || BigInt(answer) === 1n;

async function simulate(chain: Chain, call: Parameters<Chain["call"]>[0]): Promise<Verdict | undefined> {
  try {
    const answer = await chain.call(call, "pending");
    return hasTransferred(answer)
      ? undefined
      : refuse("the payout would fail: the token answers that it did not transfer");
  } catch (error) {
    if (isLockstepError(error, "call-reverted")) return refuse(`the payout would fail: ${error.message}`);
    throw error;
  }
}

/** Marks reveals that are let go at once in one transaction; all of them are on record before any of them goes. */
function createRevealMarks({ db, store, chains, mark }: Deps): (swap: Swap) => Promise<Verdict> {
  const write = gather(
    togetherOrAlone(async (marks: readonly { swap: Swap; event: SwapEvent }[]) => {
      const appends = marks.map(({ swap, event }) => {
        return { stream: swapStream(swap.id), expected: swap.version, events: [event] };
      });
      await db.tx((tx) => store.append(tx, appends));
      return marks.map(() => undefined);
    }),
    mostMarks,
  );
  return async (swap) => {
    const final = await chains.get(swap.terms.target.chain).chain.block("final");
    if (!final) return refuse(`${swap.terms.target.chain} has no final block`);
    const data = { blockNumber: final.number, blockHash: final.hash };
    await write({ swap, event: { type: "RevealStarted", data } });
    mark?.("revealing/swap.claim-target");
    return { send: true };
  };
}
