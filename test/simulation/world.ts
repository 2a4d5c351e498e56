import { createHash } from "node:crypto";
import type { Hex } from "#core/kernel/codec.ts";
import { type LegName, type SwapEvent, swapStream } from "#swap/events.ts";
import { addressOn } from "#swap/parties.ts";
import { hasEnded } from "#swap/status.ts";
import type { Swap } from "#swap/swap.ts";
import { honestPace, properMoves } from "./conduct.ts";
import { Crash } from "./crash.ts";
import { type Field, type Move, openLock } from "./field.ts";
import type { Flaw } from "./flaw.ts";
import { judge, type Notes } from "./judge.ts";
import { maliciousMoves, siegeMoves, worstLuck } from "./malice.ts";
import { createModelChain, type ModelChain } from "./modelChain.ts";
import { effectOf } from "./modelPort.ts";
import { createModelSender } from "./modelSender.ts";
import { createModelStore, type Edge } from "./modelStore.ts";
import { createRandom } from "./random.ts";
import {
  addressOfAccount,
  type Conduct,
  chainOf,
  drawScenario,
  legNames,
  longestRestart,
  moodOf,
  reaction,
  type Scenario,
  start,
} from "./scenario.ts";
import { chainIdOf, startService } from "./service.ts";
import { createTrace, type Trace } from "./trace.ts";

export type Outcome = {
  readonly problems: readonly string[];
  readonly status: string;
  readonly seconds: number;
  /** Who was external, and what it was like. */
  readonly cast: "managed" | Conduct;
  readonly trace: readonly string[];
};

/** Runs one swap to its end, on a schedule that follows from the seed, and judges it. */
export async function simulate(seed: number, flaw: Flaw = {}, traced = false): Promise<Outcome> {
  const world = createWorld(seed, flaw, traced);
  const { scenario, notes, swap, chains, trace } = world;
  await world.run();
  const last = swap();
  const problems = [...new Set([...notes.problems, ...judge({ swap: last, scenario, chains, notes })])];
  return {
    ...{ problems, seconds: world.now() - start, trace: trace.lines() },
    status: legNames.map((leg) => chains[leg].lock(last.terms[leg].lockId)?.end ?? "none").join("/"),
    cast: scenario.external ? scenario.conduct : "managed",
  };
}

function createWorld(seed: number, flaw: Flaw, traced: boolean) {
  const random = createRandom(seed);
  const scenario = drawScenario(seed, random, flaw);
  let now = start;
  const trace: Trace = createTrace(traced, () => now - start);
  trace.scenario(scenario);
  const notes: Notes = { problems: [], paysAtLastCheck: {}, wasPublic: false, intents: 0 };
  const chains = Object.fromEntries(
    legNames.map((leg) => {
      const moodAt = (time: number) => moodOf(scenario, leg, time);
      const approved = scenario.external
        ? [scenario.parties[scenario.external]].flatMap((party) => addressOn(party, leg))
        : [];
      const habits = scenario.habits[leg];
      const parts = { name: chainOf(leg), habits, start, random, moodAt, windows: flaw.windows, approved };
      return [leg, trace.chain(createModelChain(parts), leg)];
    }),
  ) as Record<LegName, ModelChain>;
  const crashes = createCrashes();
  const disturbances = createDisturbances();
  let mayPassAt = start;
  const siege = scenario.conduct === "siege";

  const edge: Edge = async (what) => {
    crashes.at(what);
    if (now >= mayPassAt && random.chance(0.05)) {
      mayPassAt = now + 5;
      pass();
    }
  };
  const durable = createModelStore({ now: () => now * 1_000, edge, written, view: flaw.view });
  const swap = (): Swap => {
    const [found] = durable.swaps();
    if (!found) throw new Error("there is no swap");
    return found;
  };
  const sender = createModelSender({
    ...{ chains: new Map(legNames.map((leg) => [chainOf(leg), chains[leg]])), durable },
    effectOf: (request, to, data) => effectOf(request, to, data, { chainIdOf, addressOf: addressOfAccount }),
  });
  const checkpoints = { source: { hashes: [], final: -1n }, target: { hashes: [], final: -1n } };
  const field = createField();
  const moves = movesOf(field);

  function written(event: SwapEvent): void {
    trace.event(event);
    if (event.type !== "RevealStarted") return;
    for (const leg of legNames) {
      if (!openLock(field, leg, "final")) notes.problems.push(`the reveal was begun without a final ${leg} leg`);
      if (isStalled(leg)) notes.problems.push(`the reveal was begun while finality of the ${leg} chain stalled`);
    }
  }

  /** Finality that lags behind by more than bounds can explain. */
  function isStalled(leg: LegName): boolean {
    const [latest, final] = [chains[leg].block("latest"), chains[leg].block("final")];
    const { finality, inclusion, skew } = scenario.timing[leg];
    return (
      latest !== undefined &&
      final !== undefined &&
      latest.timestamp - final.timestamp > finality + inclusion + 3n * skew
    );
  }

  function createCrashes() {
    let upAt = start;
    let mayCrashAt = start;
    let wanted = false;
    return {
      isDown: () => now < upAt,
      want() {
        wanted = true;
      },
      at(what: string) {
        const claims = what.startsWith("after release of swap.claim");
        const chance = siege ? (claims ? 0.6 : 0.0005) : claims ? 0.4 : 0.01;
        if (now < mayCrashAt || !(wanted || random.chance(chance))) return;
        upAt = now + (wanted || siege ? longestRestart : random.extreme(1, longestRestart));
        wanted = false;
        mayCrashAt = upAt + Number(reaction);
        trace.note(`the service dies ${what} until ${upAt - start}`);
        throw new Crash(what);
      },
    };
  }

  /** Bounds allow for one reorganisation and one outage while a transaction is on its way, so they are rarer than that. */
  function createDisturbances() {
    const quietUntil = { source: start, target: start };
    const haltableAt = { source: start, target: start };
    const calm = (leg: LegName) =>
      2 * Number(scenario.timing[leg].inclusion) + Number(scenario.timing[leg].finality + reaction);
    return {
      reorganise(leg: LegName, depth: number, branch = {}): boolean {
        if (now < quietUntil[leg] || scenario.habits[leg].depth === 0 || depth < 1) return false;
        quietUntil[leg] = now + calm(leg);
        trace.note(`${leg}: the newest ${Math.min(depth, scenario.habits[leg].depth)} blocks are replaced`);
        chains[leg].reorganise(Math.min(depth, scenario.habits[leg].depth), now, branch);
        return true;
      },
      halt(leg: LegName): boolean {
        const { outage } = scenario.habits[leg];
        if (now < haltableAt[leg] || outage === 0) return false;
        haltableAt[leg] = now + calm(leg);
        trace.note(`${leg}: no blocks for ${outage} seconds`);
        chains[leg].halt(now + outage);
        return true;
      },
    };
  }

  function createField(): Field {
    let count = 0;
    const transaction: Field["transaction"] = (effect) => {
      count += 1;
      return { hash: hashOf(`${seed}/${count}`), effect };
    };
    return {
      ...{ random, scenario, transaction, crash: crashes.want, ...disturbances },
      now: () => now,
      chain: (leg) => chains[leg],
      swap: () => durable.swaps()[0],
      send(leg, effect, how) {
        const made = transaction(effect);
        trace.sent(leg, effect, how?.private ?? false);
        chains[leg].broadcast(made, now, how);
        return made;
      },
      hand: (event) => durable.record(swapStream("1"), event),
    };
  }

  function stall({ leg, seconds }: NonNullable<Scenario["stall"]>): void {
    trace.note(`${leg}: for ${seconds} seconds nothing more is final`);
    chains[leg].stallFinality(now + seconds);
  }

  function pass(): void {
    now += 1;
    for (const leg of legNames) {
      chains[leg].pass(now);
      const { depth } = scenario.habits[leg];
      const chance = siege ? 0 : scenario.conduct === "malicious" ? 0.002 : 0.02;
      if (depth > 0 && random.chance(chance)) disturbances.reorganise(leg, random.int(1, depth));
      if (random.chance(chance / 2)) disturbances.halt(leg);
    }
    if (scenario.stall?.from === now) stall(scenario.stall);
    for (let place = moves.length - 1; place >= 0; place--) if (moves[place]?.()) moves.splice(place, 1);
    const isPublic = legNames.some((leg) => chains[leg].published().has(scenario.secret));
    if (!isPublic || notes.wasPublic) return;
    notes.wasPublic = true;
    trace.note("the secret is public");
    if (scenario.stall?.from === "reveal") stall(scenario.stall);
    const managedInitiator = scenario.external !== "initiator";
    if (managedInitiator && !durable.eventsOf(swapStream("1")).some(({ type }) => type === "RevealStarted")) {
      notes.problems.push("revealed without a mark");
    }
  }

  async function run(): Promise<void> {
    const { parties, terms, hashlock, external, stall } = scenario;
    const payer = external === "initiator" ? "bob" : "alice";
    const data = { hashlock, ...parties, ...terms, ...(external && { payer }) };
    durable.record(swapStream("1"), { type: "SwapRequested", data });
    const around = { scenario, random, flaw, chains, durable, sender, checkpoints, edge, swap };
    const tried = (leg: LegName, pays: boolean) => {
      notes.paysAtLastCheck[leg] = pays;
    };
    let service = startService({ ...around, now: () => now, tried });
    const latest = Number(terms.source.timelock) + (stall?.seconds ?? 0) + 400;
    while (now < latest && !(hasEnded(swap()) && isSettled())) {
      pass();
      if (crashes.isDown()) continue;
      try {
        await service.live();
      } catch (error) {
        if (!(error instanceof Crash)) throw error;
        service = startService({ ...around, now: () => now, tried });
      }
    }
    notes.intents = sender.count();
  }

  /** Nothing of the swap is on a chain any more, nor on its way there, nor may anybody begin it. */
  function isSettled(): boolean {
    if (now < scenario.deadlines.sourceLockBy + 5n) return false;
    return legNames.every(
      (leg) => !openLock(field, leg, "latest") && !chains[leg].waiting().some(({ effect }) => effect.kind === "lock"),
    );
  }

  return { scenario, notes, chains, trace, swap, run, now: () => now };
}

function movesOf(field: Field): Move[] {
  const { external, conduct } = field.scenario;
  if (!external) return worstLuck(field);
  if (conduct === "malicious") return maliciousMoves(field, external);
  if (conduct === "siege") return siegeMoves(field, external);
  const proper = properMoves(field, external, honestPace(field, external));
  if (conduct === "absent") return proper.slice(0, field.random.int(0, 2));
  if (conduct !== "late") return [...proper, ...worstLuck(field)];
  const { timing, deadlines, timelocks } = field.scenario;
  const around = (time: bigint) => Number(time) + field.random.int(-3, 3);
  const late = external === "initiator" ? deadlines.sourceLockBy : deadlines.counterLockBy;
  const never = Number.POSITIVE_INFINITY;
  const span = Number(timelocks.target - deadlines.revealBy + timing.target.finality);
  return properMoves(field, external, {
    lockAt: around(late),
    lockBy: never,
    claimAfter: field.random.int(0, span),
    claimBy: never,
  });
}

const hashOf = (id: string): Hex => `0x${createHash("sha256").update(id).digest("hex")}`;
