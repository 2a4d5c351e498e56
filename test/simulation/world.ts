import { createHash } from "node:crypto";
import { decodeFunctionData, encodeAbiParameters, zeroAddress } from "viem";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import type { Chain } from "#core/chain/chain.ts";
import type { Clock } from "#core/kernel/clock.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import type { IntentGuard, IntentRequest, Sender } from "#core/sender/sender.ts";
import { createSwapChains } from "#swap/chains.ts";
import { type ChainTiming, defaultTimelocks, earliestTimelocks, type SwapTiming } from "#swap/deadlines.ts";
import { createSwapDriver } from "#swap/driver.ts";
import { type LegName, type LegTerms, type SwapEvent, swapStream } from "#swap/events.ts";
import { createSwapGuards } from "#swap/guards.ts";
import { claimBuilder } from "#swap/intents.ts";
import { claimCall, lockIdOf } from "#swap/legCalls.ts";
import { createSwapObserver } from "#swap/observer.ts";
import { type LockTerms, lockId } from "#swap/protocol/lockId.ts";
import { hasEnded } from "#swap/status.ts";
import type { Swap } from "#swap/swap.ts";
import { quietLog } from "#test/support/databases.ts";
import { Crash } from "./crash.ts";
import { createModelChain, type Effect, type ModelChain, timelockContract } from "./modelChain.ts";
import { follow } from "./modelIndexer.ts";
import { createModelSender } from "./modelSender.ts";
import { createModelStore, type Edge } from "./modelStore.ts";
import { createRandom } from "./random.ts";

/** Something built wrong on purpose, to see that the simulation finds it. */
export type Flaw = {
  guard?(kind: string, guard: IntentGuard): IntentGuard;
  intent?(intent: IntentRequest): IntentRequest;
};

export type Outcome = { readonly problems: readonly string[]; readonly status: string; readonly seconds: number };

const names = ["alpha", "beta"] as const;
type Name = (typeof names)[number];
const legNames: readonly LegName[] = ["source", "target"];
const start = 1_800_000_000;
const alice: Hex = `0x${"a1".repeat(20)}`;
const bob: Hex = `0x${"b0".repeat(20)}`;
const amounts: Record<LegName, bigint> = { source: 100n, target: 70n };
/** Longest restart, in seconds, and what the service takes besides: to see, to decide, to send. */
const longestRestart = 8;
const reaction = BigInt(longestRestart + 14);

/** Runs one swap of two managed parties to its end, on a schedule that follows from the seed, and judges it. */
export async function simulate(seed: number, flaw: Flaw = {}): Promise<Outcome> {
  const random = createRandom(seed);
  let now = start;
  let upAt = start;
  let mayCrashAt = start;
  let passed = 0;
  const habits = () => {
    const interval = random.int(1, 4);
    return { interval, depth: random.int(0, 4), inclusion: random.int(1, 8), offset: random.int(-3, 3) };
  };
  const habitsOf = { alpha: habits(), beta: habits() };
  const chains = new Map(names.map((name) => [name as string, createModelChain(name, habitsOf[name], now, random)]));
  const timingOf = (name: Name): ChainTiming => {
    const { interval, depth, inclusion } = habitsOf[name];
    const bounds = { finality: depth * interval + 1, inclusion: inclusion + 2 * interval + 1, skew: 3 };
    return { finality: BigInt(bounds.finality), inclusion: BigInt(bounds.inclusion), skew: BigInt(bounds.skew) };
  };
  const reorganisedAt = new Map<string, number>();

  function pass(): void {
    now += 1;
    for (const [name, chain] of chains) {
      chain.pass(now);
      const { depth, inclusion, interval } = habitsOf[name as Name];
      // Bounds allow for one reorganisation of a transaction, so they are rarer than a transaction takes.
      const calm = 2 * (inclusion + 2 * interval) + depth * interval + Number(reaction);
      if (depth > 0 && now - (reorganisedAt.get(name) ?? 0) > calm && random.chance(0.02)) {
        reorganisedAt.set(name, now);
        chain.reorganise(random.int(1, depth), now);
      }
    }
  }
  const edge: Edge = async (what) => {
    if (now >= mayCrashAt && random.chance(0.01)) {
      upAt = now + random.int(1, longestRestart);
      mayCrashAt = upAt + Number(reaction);
      throw new Crash(what);
    }
    if (passed < 3 && random.chance(0.05)) {
      passed += 1;
      pass();
    }
  };

  const durable = createModelStore(() => now * 1_000, edge);
  const clock: Clock = { now: () => now * 1_000, sleep: async () => undefined };
  const sender = createModelSender({ chains, durable, effectOf });
  const secret: Hex = `0x${createHash("sha256").update(`secret ${seed}`).digest("hex")}`;
  const hashlock: Hex = `0x${createHash("sha256")
    .update(Buffer.from(secret.slice(2), "hex"))
    .digest("hex")}`;
  const checkpoints = new Map(names.map((name) => [name as string, { hashes: [] as Hex[] }]));
  const timing: SwapTiming = { source: timingOf("alpha"), target: timingOf("beta"), reaction };
  await durable.db.tx((tx) => durable.store.append(tx, [request(hashlock, timing)])).catch(ignoreCrash);
  if (durable.swaps().length === 0) return { problems: [], status: "never requested", seconds: 0 };

  function request(hash: Hex, known: SwapTiming) {
    const choose = random.chance(0.7) ? earliestTimelocks : defaultTimelocks;
    const timelocks = choose(known, BigInt(now + 3));
    const terms = (leg: LegName, chain: Name, sender: Hex, recipient: Hex): LegTerms => {
      const chainId = names.indexOf(chain) + 1;
      const unnamed = {
        ...{ chain, chainId, timelockContract, lockId: hash, asset: { type: "native" as const } },
        ...{ amount: amounts[leg], sender, recipient, timelock: timelocks[leg], tip: 0n },
      };
      return { ...unnamed, lockId: lockIdOf(unnamed, hash) };
    };
    const data = {
      hashlock: hash,
      initiator: { account: "alice", address: alice },
      counterparty: { account: "bob", address: bob },
      source: terms("source", "alpha", alice, bob),
      target: terms("target", "beta", bob, alice),
    };
    const event: SwapEvent = { type: "SwapRequested", data };
    return { stream: swapStream("1"), expected: 0, events: [event] };
  }

  /** A process: all that it knows besides what is durable begins anew. */
  function startProcess() {
    const access = (name: Name) => portOf(chains.get(name) as ModelChain, edge);
    const swapChains = createSwapChains({
      chains: fixed(
        Object.fromEntries(
          names.map((name) => [name, { chain: access(name), timelockContract, timing: timingOf(name) }]),
        ),
      ),
      ...{ reactionSeconds: reaction, clock },
    });
    const { db, store, index } = durable;
    const keys = { keyStore: modelKeys, holdOf: () => undefined, clock };
    const deps = { db, store, index, chains: swapChains, sender: submitting(sender.port), log: quietLog, ...keys };
    const guards = Object.entries(createSwapGuards(deps)).map(([kind, guard]) => [
      kind,
      flaw.guard?.(kind, guard) ?? guard,
    ]);
    return {
      driver: createSwapDriver(deps),
      observer: createSwapObserver(deps),
      guards: Object.fromEntries(guards) as Record<string, IntentGuard>,
      builders: {
        [claimBuilder]: async () => claimCall(swapNow().terms.target, hashlock, secret),
      },
      seen: 0,
    };
  }
  const submitting = (port: Sender): Sender =>
    flaw.intent
      ? { ...port, submit: (tx, intents) => port.submit(tx, intents.map(flaw.intent ?? ((each) => each))) }
      : port;
  const swapNow = (): Swap => {
    const [swap] = durable.swaps();
    if (!swap) throw new Error("there is no swap");
    return swap;
  };

  /** Everything that the service does within a second, in some order. */
  async function live(service: ReturnType<typeof startProcess>): Promise<void> {
    passed = 0;
    const look = (name: Name) => () =>
      follow({
        chain: chains.get(name) as ModelChain,
        checkpoint: checkpoints.get(name) as { hashes: Hex[] },
        ...{ observer: service.observer, db: durable.db, stage: durable.stage },
      });
    const work = [
      look("alpha"),
      look("beta"),
      async () => {
        for (const id of await durable.index.due(new Date(now * 1_000), 10)) await service.driver.advance(id);
      },
      async () => {
        const { version } = swapNow();
        // A job that is lost is made up for by the scheduler.
        if (version > service.seen && random.chance(0.9)) await service.driver.advance("1");
        service.seen = version;
      },
      () => sender.step({ guards: service.guards, builders: service.builders, edge, now: () => now }),
    ];
    while (work.length > 0) {
      const [next] = work.splice(random.int(0, work.length - 1), 1);
      try {
        await next?.();
      } catch (error) {
        if (error instanceof Crash) throw error;
        if (!(error instanceof LockstepError)) throw error;
      }
    }
  }

  let service = startProcess();
  const problems: string[] = [];
  const { source, target } = swapNow().terms;
  const latest = Number(source.timelock > target.timelock ? source.timelock : target.timelock) + 300;
  let wasPublic = false;
  while (now < latest && !hasEnded(swapNow())) {
    pass();
    if (now < upAt) continue;
    try {
      await live(service);
    } catch (error) {
      if (!(error instanceof Crash)) throw error;
      service = startProcess();
    }
    const isPublic = [...chains.values()].some((chain) => chain.published().has(secret));
    if (isPublic && !wasPublic) {
      wasPublic = true;
      if (!swapNow().revealStarted && swapNow().legs.target.end === undefined) problems.push("revealed without a mark");
    }
  }
  const swap = swapNow();
  problems.push(...judge(swap, chains, wasPublic));
  return { problems, status: swap.givenUp?.code ?? statusOf(swap, chains), seconds: now - start };
}

function statusOf(swap: Swap, chains: ReadonlyMap<string, ModelChain>): string {
  return legNames
    .map((leg) => chains.get(swap.terms[leg].chain)?.lock(swap.terms[leg].lockId)?.end ?? "open")
    .join("/");
}

/** What an honest party may expect, whatever the schedule was. */
function judge(swap: Swap, chains: ReadonlyMap<string, ModelChain>, wasPublic: boolean): string[] {
  const problems: string[] = [];
  const ends = Object.fromEntries(
    legNames.map((leg) => {
      const lock = chains.get(swap.terms[leg].chain)?.lock(swap.terms[leg].lockId);
      if (lock && lock.end === undefined) problems.push(`the ${leg} leg was left open`);
      return [leg, lock?.end];
    }),
  ) as Record<LegName, "claimed" | "refunded" | undefined>;
  if (ends.source === "claimed" && ends.target !== "claimed") problems.push("the initiator lost its asset");
  if (ends.target === "claimed" && ends.source !== "claimed") problems.push("the counterparty lost its asset");
  if (wasPublic && ends.target !== "claimed") problems.push("the secret was revealed in vain");
  if (!hasEnded(swap)) problems.push("the swap has not ended");
  return problems;
}

/** A chain as the service has it, through calls in which time may pass, or the process die. */
function portOf(chain: ModelChain, edge: Edge): Chain {
  const chainId = names.indexOf(chain.name as Name) + 1;
  return {
    name: chain.name,
    chainId,
    async block(at: "latest" | "final" | bigint) {
      await edge("block");
      return chain.block(at);
    },
    async call({ data }: { data: Hex }, at?: bigint | "pending") {
      await edge("call");
      const { functionName, args } = decodeFunctionData({ abi: hashedTimelockAbi, data });
      if (functionName !== "isOpen") throw new Error(`the model does not know ${functionName}`);
      const isOpen = chain.isOpen(args[0] as Hex, typeof at === "bigint" ? at : "latest");
      return encodeAbiParameters([{ type: "bool" }], [isOpen]);
    },
  } as unknown as Chain;
}

function effectOf({ chain }: IntentRequest, data: Hex): Effect {
  const { functionName, args } = decodeFunctionData({ abi: hashedTimelockAbi, data });
  const terms = (args as readonly unknown[])[0] as LockTerms;
  const id = lockId(names.indexOf(chain as Name) + 1, timelockContract, terms);
  if (terms.token !== zeroAddress) throw new Error("the model knows the native coin only");
  if (functionName === "createLock") return { kind: "lock", id, terms };
  if (functionName === "claim") return { kind: "claim", id, secret: (args as readonly unknown[])[1] as Hex };
  if (functionName === "refund") return { kind: "refund", id };
  if (functionName === "refundEarly") {
    const { signature } = (args as readonly unknown[])[1] as { signature: Hex };
    return { kind: "refundEarly", id, signer: signature };
  }
  throw new Error(`the model does not know ${functionName}`);
}

/** A signature of the model is the address of who signed. */
const modelKeys = { signTypedData: async (name: string) => (name === "alice" ? alice : bob) };

function ignoreCrash(error: unknown): void {
  if (!(error instanceof Crash)) throw error;
}
