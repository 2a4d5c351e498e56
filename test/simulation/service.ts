import type { Clock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { fixed } from "#core/kernel/live.ts";
import { untraced } from "#core/observe/tracing.ts";
import type { IntentGuard, Sender } from "#core/sender/sender.ts";
import { createSwapChains } from "#swap/chains.ts";
import { createSwapDriver } from "#swap/driver.ts";
import { type LegName, swapStream } from "#swap/events.ts";
import { createSwapGuards } from "#swap/guards.ts";
import { claimBuilder } from "#swap/intents.ts";
import { claimCall } from "#swap/legCalls.ts";
import { createSwapObserver } from "#swap/observer.ts";
import type { Swap } from "#swap/swap.ts";
import { quietLog } from "#test/support/databases.ts";
import { Crash } from "./crash.ts";
import type { Flaw } from "./flaw.ts";
import type { ModelChain } from "./modelChain.ts";
import type { Consent } from "./modelContract.ts";
import { type Checkpoint, follow } from "./modelIndexer.ts";
import { timelockContract } from "./modelLogs.ts";
import { portOf, signConsent } from "./modelPort.ts";
import type { ModelSender } from "./modelSender.ts";
import type { Edge, ModelStore } from "./modelStore.ts";
import type { Random } from "./random.ts";
import { addressOfAccount, chainOf, legNames, legOfChain, moodOf, reaction, type Scenario } from "./scenario.ts";

export type Surroundings = {
  readonly scenario: Scenario;
  readonly random: Random;
  readonly flaw: Flaw;
  readonly chains: Readonly<Record<LegName, ModelChain>>;
  readonly durable: ModelStore;
  readonly sender: ModelSender;
  readonly checkpoints: Readonly<Record<LegName, Checkpoint>>;
  readonly edge: Edge;
  now(): number;
  swap(): Swap;
  tried(leg: LegName, pays: boolean): void;
};

/** Claims of the source leg have no last check; a flawed service may make one. */
const unguarded: Record<string, IntentGuard> = { "swap.claim-source": async () => ({ send: true }) };

/** A process of the service: what it knows besides what is durable begins anew with it. */
export type Service = {
  /** Everything that it does within a second, in some order. Throws `Crash` where it dies. */
  live(): Promise<void>;
};

export function startService(around: Surroundings): Service {
  const { scenario, random, flaw, chains, durable, sender, edge, now, swap } = around;
  const clock: Clock = { now: () => now() * 1_000, sleep: async () => undefined };
  const swapChains = createSwapChains({
    chains: fixed(Object.fromEntries(legNames.map((leg) => [chainOf(leg), chainAccess(leg)]))),
    ...{ reactionSeconds: flaw.reaction?.(scenario.habits) ?? reaction, clock },
  });
  const { db, store, index } = durable;
  const keys = { keyStore: { signTypedData: sign }, holdOf: () => undefined, clock, tracer: untraced };
  const deps = { db, store, index, chains: swapChains, sender: submitting(sender.port), log: quietLog, ...keys };
  const driver = createSwapDriver(deps);
  const observer = createSwapObserver(deps);
  const guards = Object.fromEntries(
    Object.entries({ ...unguarded, ...createSwapGuards(deps) }).map(([kind, guard]) => [
      kind,
      flaw.guard?.(kind, guard, swap) ?? guard,
    ]),
  );
  const builders = {
    [claimBuilder]: async () => claimCall(swap().terms.target, scenario.hashlock, scenario.secret),
  };
  let seen = 0;

  function chainAccess(leg: LegName) {
    const port = portOf({
      ...{ chain: chains[leg], chainId: leg === "source" ? 1 : 2, edge },
      mood: () => moodOf(scenario, leg, now()),
      tried: (pays) => around.tried(leg, pays),
    });
    const chain = flaw.port?.(port, chains[leg], scenario) ?? port;
    return { chain, timelockContract, timing: scenario.timing[leg] };
  }

  function submitting(port: Sender): Sender {
    const { intent } = flaw;
    return intent ? { ...port, submit: (tx, intents) => port.submit(tx, intents.map(intent)) } : port;
  }

  const look = (leg: LegName) => () => {
    const chain = chains[leg];
    return follow({
      chain: flaw.logs ? { ...chain, logsOf: (at) => flaw.logs?.(chain.logsOf(at), leg, scenario) ?? [] } : chain,
      finalOf: ({ block }) => block(flaw.newestIsFinal ? "latest" : "final")?.number ?? 0n,
      ...{ checkpoint: around.checkpoints[leg], observer, db, stage: durable.stage },
    });
  };
  const work = [
    look("source"),
    look("target"),
    async () => {
      for (const id of await index.due(new Date(now() * 1_000), 10)) await driver.advance(id);
    },
    async () => {
      const { version } = swap();
      // A job that is lost is made up for by the scheduler.
      if (version > seen && random.chance(0.9)) await driver.advance("1");
      seen = version;
    },
    () => sender.step({ guards, builders, edge, now }),
    async () => {
      const events = flaw.decides?.(swap(), scenario, now()) ?? [];
      if (events.length === 0) return;
      await db.tx((tx) => store.append(tx, [{ stream: swapStream("1"), expected: swap().version, events }]));
    },
  ];

  return {
    async live() {
      const left = [...work];
      while (left.length > 0) {
        const [next] = left.splice(random.int(0, left.length - 1), 1);
        try {
          await next?.();
        } catch (error) {
          if (error instanceof Crash || !(error instanceof LockstepError)) throw error;
        }
      }
    },
  };
}

/** A signature of the model tells who signed what. */
async function sign(account: string, data: unknown): Promise<ReturnType<typeof signConsent>> {
  const { message } = data as { message: Omit<Consent, "signer"> };
  return signConsent({ ...message, signer: addressOfAccount(account) });
}

export const chainIdOf = (chain: string) => (legOfChain(chain) === "source" ? 1 : 2);
