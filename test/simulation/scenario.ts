import { createHash } from "node:crypto";
import type { Hex } from "#core/kernel/codec.ts";
import {
  type ChainTiming,
  type Deadlines,
  deadlinesOf,
  defaultTimelocks,
  earliestTimelocks,
  type SwapTiming,
  type Timelocks,
} from "#swap/deadlines.ts";
import type { LegName, LegTerms, Party } from "#swap/events.ts";
import { lockIdOf } from "#swap/legCalls.ts";
import { addressOn, claimerOf, lockerOf, type PartyName } from "#swap/parties.ts";
import type { ChainHabits } from "./modelChain.ts";
import type { TokenMood } from "./modelContract.ts";
import { timelockContract } from "./modelLogs.ts";
import { tokenContract } from "./modelPort.ts";
import type { Random } from "./random.ts";

export const legNames: readonly LegName[] = ["source", "target"];
export const start = 1_800_000_000;
export const skew = 3;
/** Longest restart, in seconds, and what the service takes besides: to see, to decide, to send. */
export const longestRestart = 8;
export const reaction = BigInt(longestRestart + 6);

const alice: Hex = `0x${"a1".repeat(20)}`;
const bob: Hex = `0x${"b0".repeat(20)}`;
const managedParties: Record<PartyName, Party> = {
  initiator: { account: "alice", address: alice },
  counterparty: { account: "bob", address: bob },
};
const externalParties: Record<PartyName, Party> = {
  initiator: { source: `0x${"e1".repeat(20)}`, target: `0x${"e2".repeat(20)}` },
  counterparty: { source: `0x${"ec".repeat(20)}`, target: `0x${"ed".repeat(20)}` },
};
export const addressOfAccount = (account: string): Hex => (account === "alice" ? alice : bob);

/**
 * What the external party is like: in time at once or as late as it may, gone at some step, at edges, an enemy that tries
 * this and that, or one that has all that bounds allow go against the managed party at once.
 */
export type Conduct = "prompt" | "slow" | "absent" | "late" | "malicious" | "siege";

/** When a leg's token does not pay an account, in seconds of true time. */
type Hostility = {
  readonly account: Hex;
  readonly from: number;
  readonly until: number;
  readonly how: "reverts" | "answersFalse";
};

export type Scenario = {
  readonly parties: Readonly<Record<PartyName, Party>>;
  /** Undefined with both parties managed. */
  readonly external?: PartyName;
  readonly conduct: Conduct;
  readonly habits: Readonly<Record<LegName, ChainHabits>>;
  readonly timing: SwapTiming;
  readonly timelocks: Timelocks;
  readonly deadlines: Deadlines;
  readonly terms: Readonly<Record<LegName, LegTerms>>;
  readonly secret: Hex;
  readonly hashlock: Hex;
  readonly hostility: Readonly<Partial<Record<LegName, Hostility>>>;
  /** From a time on, or from when the secret is public, so many seconds nothing more is final on a leg's chain. */
  readonly stall?: { readonly leg: LegName; readonly from: number | "reveal"; readonly seconds: number };
  /** Timelocks leave time beyond what is needed. */
  readonly ample: boolean;
};

type Habits = Readonly<Record<LegName, ChainHabits>>;

/** Times that a flawed service counts with. */
export type Miscount = {
  timelocks?(timelocks: Timelocks, timing: SwapTiming, habits: Habits): Timelocks;
  reaction?(habits: Habits): bigint;
};

export const chainOf = (leg: LegName): string => (leg === "source" ? "alpha" : "beta");
export const legOfChain = (chain: string): LegName => (chain === "alpha" ? "source" : "target");

/** Draws who trades what under which circumstances; deadlines are those that the service tells, be it flawed or not. */
export function drawScenario(seed: number, random: Random, flaw: Miscount): Scenario {
  const adjust = flaw.timelocks ?? ((timelocks: Timelocks) => timelocks);
  const external = random.chance(0.2) ? undefined : random.pick<PartyName>(["initiator", "counterparty"]);
  const conduct = external ? drawConduct(random) : "prompt";
  const enemy = conduct === "malicious" || conduct === "siege";
  const habits = { source: drawHabits(random, conduct), target: drawHabits(random, conduct) };
  const timing: SwapTiming = { source: timingOf(habits.source), target: timingOf(habits.target), reaction };
  const secret: Hex = `0x${createHash("sha256").update(`secret ${seed}`).digest("hex")}`;
  const hashlock: Hex = `0x${createHash("sha256")
    .update(Buffer.from(secret.slice(2), "hex"))
    .digest("hex")}`;
  const siege = conduct === "siege";
  const ample = siege ? false : enemy ? random.chance(0.2) : random.chance(external ? 0.7 : 0.3);
  const handover = random.int(4, external ? 30 : 12);
  const timelocks = adjust(
    ample
      ? defaultTimelocks(timing, BigInt(start), BigInt(handover + 20))
      : earliestTimelocks(timing, BigInt(start + handover)),
    timing,
    habits,
  );
  const party = (name: PartyName) => (external === name ? externalParties : managedParties)[name];
  const parties = { initiator: party("initiator"), counterparty: party("counterparty") };
  const terms = (leg: LegName) => termsOf(leg, random.chance(0.35), { parties, timelocks, hashlock });
  const legs = { source: terms("source"), target: terms("target") };
  const stallAt = random.chance(0.4) ? "reveal" : random.int(start, Number(timelocks.target));
  const stalls = !siege && random.chance(0.1);
  return {
    ...{ parties, conduct, habits, timing, timelocks, secret, hashlock, ample },
    ...(external && { external }),
    deadlines: deadlinesOf({ ...timing, reaction: flaw.reaction?.(habits) ?? reaction }, timelocks),
    terms: legs,
    hostility: siege ? {} : drawHostility(random, legs),
    ...(stalls && { stall: { leg: random.pick(legNames), from: stallAt, seconds: random.int(30, 300) } }),
  };
}

const drawConduct = (random: Random): Conduct =>
  random.pick<Conduct>(["prompt", "slow", "absent", "late", "malicious", "malicious", "siege", "siege", "siege"]);

function drawHabits(random: Random, conduct: Conduct): ChainHabits {
  const slow = random.chance(conduct === "siege" ? 0.4 : 0.25);
  return {
    interval: slow ? 12 : random.int(1, 4),
    depth: random.int(0, slow ? 3 : random.chance(0.3) ? 8 : 4),
    inclusion: random.int(1, 8),
    outage: random.chance(0.3) ? random.int(1, 6) : 0,
    skew,
    spite: conduct === "siege" ? 1 : random.pick([0, 0.2, 0.2, 1]),
  };
}

/** The bounds that a chain with these habits keeps, which is what an operator would tell the service. */
function timingOf({ interval, depth, inclusion, outage }: ChainHabits): ChainTiming {
  const bounds = { finality: depth * interval + outage, inclusion: inclusion + interval - 1 + outage };
  return { finality: BigInt(bounds.finality), inclusion: BigInt(bounds.inclusion), skew: BigInt(skew) };
}

function termsOf(
  leg: LegName,
  isToken: boolean,
  { parties, timelocks, hashlock }: { parties: Record<PartyName, Party>; timelocks: Timelocks; hashlock: Hex },
): LegTerms {
  const asset = isToken ? ({ type: "erc20", address: tokenContract } as const) : ({ type: "native" } as const);
  const unnamed = {
    ...{ chain: chainOf(leg), chainId: leg === "source" ? 1 : 2, timelockContract, asset, tip: 0n },
    amount: leg === "source" ? 100n : 70n,
    sender: addressOn(parties[lockerOf(leg)], leg),
    recipient: addressOn(parties[claimerOf(leg)], leg),
    timelock: timelocks[leg],
  };
  return { ...unnamed, lockId: lockIdOf(unnamed, hashlock) };
}

function drawHostility(random: Random, terms: Record<LegName, LegTerms>): Partial<Record<LegName, Hostility>> {
  const found: Partial<Record<LegName, Hostility>> = {};
  for (const leg of legNames) {
    const { asset, sender, recipient, timelock } = terms[leg];
    if (asset.type === "native" || random.chance(0.6)) continue;
    const from = random.pick([start, random.int(start, Number(timelock))]);
    const until = from + random.pick([random.int(1, 60), Number(timelock) + 60 - from]);
    found[leg] = {
      account: random.pick([sender, recipient]),
      from,
      until,
      how: random.pick(["reverts", "answersFalse"]),
    };
  }
  return found;
}

/** What the token of a leg does to payments at a time. */
export function moodOf({ hostility }: Scenario, leg: LegName, now: number): TokenMood {
  const hostile = hostility[leg];
  if (!hostile || now < hostile.from || now >= hostile.until) return () => "pays";
  return (account) => (account === hostile.account ? hostile.how : "pays");
}
