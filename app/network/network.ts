import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { lockFolder } from "#core/db/embedded/lock.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import type { QuorumSet } from "#relay";
import { startChild, untilReady } from "./children.ts";
import { assignRoles, connectGateway, deployContracts, mintTokens } from "./deploy.ts";
import { deskAccount, deskSettings } from "./desk.ts";
import { ensureKey, type KeyFile } from "./keys.ts";
import { createLayout, type Layout } from "./layout.ts";
import { startLocalChain } from "./localChain.ts";
import { claimPorts } from "./ports.ts";
import { resetNetwork } from "./reset.ts";
import { type DeployedChain, type LaneSetting, quorumOf, type ValidatorSeat, writeSettings } from "./settings.ts";
import { createUnit, type Unit } from "./unit.ts";

export type NetworkOptions = {
  dataDir: string;
  /** 0 lets the machine choose. */
  ports: { api: number; alpha: number; beta: number; validators: number };
  /** Chains besides alpha and beta, by their names in `hardhat.config.ts`; on ports that the machine chooses. */
  moreChains?: readonly string[];
  /** Where service and validators reach a chain, if not at its own address. */
  endpointOf?(chain: string, url: string): Promise<string>;
  /** Blocks on top of one before it counts as final. */
  finalityBlocks?: number;
  /** How many there are, of which two thirds have to sign; 3 when left out. */
  validators?: number;
  /** Which lanes the service carries and how; every pair by checkpoints when left out. Without any no validator runs. */
  lanes?: readonly LaneSetting[];
  /** Added to the environment of the service. */
  serviceEnv?: Readonly<Record<string, string>>;
  /** Deletes what an earlier run left in the folder first. */
  reset?: boolean;
  /** Starts the service and validators again when they end by themselves. */
  keepAlive?: boolean;
  /** Says what happens, for people. */
  say(line: string): void;
};

/** A running local network: two chains, three validators and the service, each a process of its own. */
export type Network = {
  readonly api: string;
  token(): string;
  readonly chains: Readonly<Record<string, DeployedChain>>;
  readonly accounts: Readonly<Record<string, KeyFile>>;
  readonly service: Unit;
  readonly validators: readonly Unit[];
  readonly layout: Layout;
  /** Resolves with the name of a chain that ended by itself: nothing can go on without it. */
  readonly chainEnded: Promise<string>;
  stop(): Promise<void>;
};

const accountNames = ["relayer", "alice", "bob", "carol", "dave", deskAccount] as const;
const namesOf = ({ validators = 3 }: Pick<NetworkOptions, "validators">) =>
  Array.from({ length: validators }, (_, at) => `validator-${at + 1}`);
const coin = 10n ** 18n;
/** A chain of this network keeps nothing, so it is not waited for long. */
const chainPatienceMs = 2_000;
/** Left to itself Node lets a process on a big machine hold hundreds of MiB before it looks for what has died. */
const nodeArgs = ["--max-semi-space-size=16", "--max-old-space-size=320"];
const main = fileURLToPath(new URL("../main.ts", import.meta.url));

/** Starts everything and returns when the service is ready. What was started is stopped when a part fails. */
export async function startNetwork(options: NetworkOptions): Promise<Network> {
  const stops: (() => Promise<void>)[] = [];
  try {
    return await start(options, stops);
  } catch (error) {
    await stopAll(stops);
    throw error;
  }
}

async function start(options: NetworkOptions, stops: (() => Promise<void>)[]): Promise<Network> {
  const { say, dataDir } = options;
  const lock = await lockFolder(dataDir, { patienceMs: 0, clock: systemClock });
  stops.push(async () => lock.release());
  const validatorNames = namesOf(options);
  const ports = await choosePorts(options.ports, validatorNames, options.moreChains ?? []);
  if (options.reset) await resetNetwork(dataDir, options.serviceEnv?.DATABASE_URL);
  if (existsSync(join(dataDir, "network.json"))) throw stale(dataDir);
  const layout = createLayout(options.dataDir);
  const keyOf = (name: string) => ensureKey(layout.keys, name);
  const seats = validatorNames.map(
    (name, i): ValidatorSeat => ({ name, key: keyOf(name), port: ports.validators[i] ?? 0 }),
  );
  const accounts = Object.fromEntries(accountNames.map((name) => [name, keyOf(name)]));

  say("starting two chains and deploying the contracts …");
  const chains = await Promise.all(
    Object.entries(ports.chains).map(async ([name, port]): Promise<DeployedChain> => {
      const chain = await startLocalChain({ name, port, layout, deployer: keyOf("deployer") });
      stops.push(() => chain.child.stop(chainPatienceMs));
      const token = { name: `${name} dollar`, symbol: `${name}USD` };
      return { ...chain, deployment: await deployContracts(chain.deployer, token) };
    }),
  );
  await Promise.all(chains.map((chain) => prepare(chain, chains, seats, Object.values(accounts))));
  const { endpointOf = async (_chain, url) => url } = options;
  const reached = await Promise.all(
    chains.map(async (chain) => ({ ...chain, url: await endpointOf(chain.name, chain.url) })),
  );
  writeSettings({
    ...{ layout, chains: reached, accounts, apiPort: ports.api, validators: seats, relayerAccount: "relayer" },
    sealingKey: keyOf("sealing"),
    finalityBlocks: options.finalityBlocks ?? 0,
    lanes: options.lanes,
    desk: deskSettings(chains),
    queuePrefix: `local-${randomBytes(6).toString("hex")}`,
  });
  writeFileSync(layout.network, `${JSON.stringify(summary(chains, accounts), null, 2)}\n`);

  say(`starting ${seats.length} validators and the service …`);
  const { service, validators } = createUnits(options, layout, seats, ports.api);
  const units = [...validators, service];
  stops.push(...units.map((unit) => () => unit.stop()));
  // First of all: a signal to the whole terminal ends them by themselves.
  stops.push(async () => {
    for (const unit of units) unit.leave();
  });
  const running = options.lanes?.length === 0 ? [service] : [service, ...validators];
  await Promise.all(running.map((unit) => unit.start()));
  return {
    api: `http://127.0.0.1:${ports.api}`,
    token: () => readFileSync(join(options.dataDir, "token"), "utf8").trim(),
    chains: Object.fromEntries(chains.map((chain) => [chain.name, chain])),
    ...{ accounts, service, validators, layout },
    chainEnded: Promise.race(chains.map(({ name, child }) => child.ended.then(() => name))),
    stop: () => stopAll(stops),
  };
}

async function choosePorts(
  ports: NetworkOptions["ports"],
  validatorNames: readonly string[],
  moreChains: readonly string[],
) {
  const [api = 0, alpha = 0, beta = 0, ...others] = await claimPorts([
    { what: "API", option: "--port", port: ports.api },
    { what: "chain alpha", option: "--alpha-port", port: ports.alpha },
    { what: "chain beta", option: "--beta-port", port: ports.beta },
    ...validatorNames.map((name, i) => ({
      ...{ what: name, option: "--validator-port" },
      port: ports.validators && ports.validators + i,
    })),
    ...moreChains.map((name) => ({ what: `chain ${name}`, option: "", port: 0 })),
  ]);
  const validators = others.slice(0, validatorNames.length);
  const more = moreChains.map((name, i) => [name, others[validatorNames.length + i] ?? 0] as const);
  return { api, validators, chains: { alpha, beta, ...Object.fromEntries(more) } };
}

/** The processes that run on the chains: not started yet. */
function createUnits(options: NetworkOptions, layout: Layout, seats: readonly ValidatorSeat[], apiPort: number) {
  const unit = (name: string, args: readonly string[], port: number, env: Readonly<Record<string, string>>) =>
    createUnit({
      ...{ name, say: options.say, keepAlive: options.keepAlive ?? false },
      launch: async (extra) => {
        const logFile = layout.log(name);
        const child = startChild({ name, script: main, args, nodeArgs, logFile, env: { ...env, ...extra } });
        await untilReady(child, { ready: () => isReady(port), logFile, timeoutMs: 60_000 });
        return child;
      },
    });
  return {
    validators: seats.map(({ name, port }) => unit(name, ["validator", "--config", layout.validator(name)], port, {})),
    service: unit("service", ["service", "--config", layout.service], apiPort, options.serviceEnv ?? {}),
  };
}

/** In reverse, so that nothing outlives what it stands on. */
async function stopAll(stops: (() => Promise<void>)[]): Promise<void> {
  for (const stop of stops.splice(0).reverse()) await stop();
}

async function prepare(
  chain: DeployedChain,
  all: readonly DeployedChain[],
  seats: readonly ValidatorSeat[],
  accounts: readonly KeyFile[],
): Promise<void> {
  const { deployer, deployment } = chain;
  const set: QuorumSet = {
    validators: seats.map(({ key }) => ({ account: key.address, weight: 1n })),
    threshold: { rule: "absoluteWeight", weight: BigInt(quorumOf(seats)) },
  };
  for (const peer of all.filter(({ name }) => name !== chain.name)) {
    await connectGateway(
      deployer,
      deployment.gateway,
      { chainId: peer.chainId, gateway: peer.deployment.gateway },
      set,
    );
  }
  await assignRoles(deployer, deployment);
  for (const { address } of accounts) await deployer.fund(address, 1_000n * coin);
  await mintTokens(
    deployer,
    deployment.token,
    accounts.map(({ address }) => address),
    1_000_000_000_000n,
  );
}

function summary(chains: readonly DeployedChain[], accounts: Readonly<Record<string, KeyFile>>) {
  return {
    chains: Object.fromEntries(
      chains.map(({ name, chainId, url, deployment }) => [name, { chainId, url, ...deployment }]),
    ),
    accounts: Object.fromEntries(Object.entries(accounts).map(([name, { address }]) => [name, address])),
  };
}

function stale(dataDir: string): LockstepError {
  return new LockstepError(
    "network-stale",
    `${dataDir} belongs to local chains of an earlier run; they lived in memory and are gone. Start over with --reset, which deletes ${dataDir}, or keep it and choose another folder with --data-dir.`,
  );
}

async function isReady(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/health/ready`, { signal: AbortSignal.timeout(2_000) });
  return answer.ok;
}
