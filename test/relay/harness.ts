import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeFunctionData, getAddress, type Hex } from "viem";
import { privateKeyToAddress } from "viem/accounts";
import type { z } from "zod";
import { errorsAbi } from "#app/chains.ts";
import { connectGateway, type Deployment, deployContracts } from "#app/network/deploy.ts";
import { createDeployer } from "#app/network/deployer.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { ChainAccess } from "#core/chain/chain.ts";
import { createChain } from "#core/chain/createChain.ts";
import { createKeyStore } from "#core/chain/keys.ts";
import { createSameChain } from "#core/chain/sameChain.ts";
import { chainConfigSchema } from "#core/config/chains.ts";
import { relayConfigSchema } from "#core/config/relay.ts";
import { validatorConfigSchema } from "#core/config/validator.ts";
import type { Db } from "#core/db/db.ts";
import { migrate } from "#core/db/migrate.ts";
import { createEventStore } from "#core/events/eventStore.ts";
import { eventMigrations } from "#core/events/migrations.ts";
import { createOutbox } from "#core/events/outbox.ts";
import { createHttpServer } from "#core/http/server.ts";
import { createIndexer } from "#core/indexer/createIndexer.ts";
import { indexerMigrations } from "#core/indexer/tables.ts";
import { type Clock, systemClock } from "#core/kernel/clock.ts";
import { fixed } from "#core/kernel/live.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import type { Job } from "#core/queue/queue.ts";
import { createSender } from "#core/sender/createSender.ts";
import { intentEvents } from "#core/sender/sender.ts";
import { senderMigrations } from "#core/sender/tables.ts";
import { createRelay, createValidator, relayEvents, relayMigrations, relayProjections, type Validator } from "#relay";
import { encodeInteroperable } from "#relay/protocol/interoperable.ts";
import type { MessageView } from "#relay/schemas.ts";
import { type DatabaseBackend, quietLog } from "../support/databases.ts";
import { type LocalChain, localKey, startLocalChain } from "../support/localChain.ts";
import { until } from "../support/until.ts";

export const names = ["alpha", "beta"] as const;
export type Name = (typeof names)[number];
export type Site = { readonly local: LocalChain; readonly contracts: Deployment; readonly url: string };
export type Sites = Readonly<Record<Name, Site>>;

/** The operator is who deployed the gateways, and so may do everything there. */
const keys = { relayer: localKey(1), alice: localKey(2), bob: localKey(3), operator: localKey(0) };
export const strangerKey = localKey(4);
export const otherKey = localKey(5);
export const validatorNames = ["one", "two", "three"] as const;
export type ValidatorName = (typeof validatorNames)[number];
export const validatorKeys: Readonly<Record<ValidatorName, Hex>> = {
  one: localKey(11),
  two: localKey(12),
  three: localKey(13),
};

/** Two chains with connected gateways. Chains may be used by many tests, one after the other. */
export async function openSites(): Promise<Sites> {
  const validators = validatorNames.map((name) => ({
    account: privateKeyToAddress(validatorKeys[name]),
    weight: 1n,
  }));
  const set = { validators, threshold: { rule: "simpleMajority" as const } };
  const [alpha, beta] = await Promise.all(
    [31_337_11, 31_337_12].map(async (chainId) => {
      const local = await startLocalChain(chainId);
      const deployer = createDeployer({ url: local.url, key: redact(localKey(0)) });
      // The gateways get different addresses on the two chains.
      await deployer.fund(deployer.address, 10n ** 24n);
      if (chainId === 31_337_12) await deployer.send(deployer.address, "0x");
      const contracts = await deployContracts(deployer, { name: "Test", symbol: "TST" });
      return { local, deployer, contracts };
    }),
  );
  if (!alpha || !beta) throw new Error("two chains are needed");
  for (const [here, there] of [
    [alpha, beta],
    [beta, alpha],
  ] as const) {
    const peer = { chainId: there.local.chainId, gateway: there.contracts.gateway };
    await connectGateway(here.deployer, here.contracts.gateway, peer, set);
  }
  const site = ({ local, contracts }: typeof alpha): Site => ({ local, contracts, url: local.url });
  return { alpha: site(alpha), beta: site(beta) };
}

/** Sends straight to a gateway from an account that is nobody's here. */
export async function sendDirectly(from: Site, to: Site, recipient: Hex, payload: Hex, key = strangerKey) {
  const deployer = createDeployer({ url: from.local.url, key: redact(key) });
  const address = encodeInteroperable({ chainId: to.local.chainId, address: recipient });
  const data = encodeFunctionData({ abi: gatewayAbi, functionName: "sendMessage", args: [address, payload, []] });
  return deployer.send(from.contracts.gateway, data);
}

/** A contract of `contracts/mocks` without constructor arguments. */
export async function deployMock(site: Site, path: string): Promise<Hex> {
  const file = new URL(`../../artifacts/contracts/mocks/${path}.json`, import.meta.url);
  const { bytecode } = JSON.parse(readFileSync(file, "utf8")) as { bytecode: Hex };
  const [from] = await site.local.rpc<Hex[]>("eth_accounts");
  const hash = await site.local.rpc<Hex>("eth_sendTransaction", [{ from, data: bytecode, gas: "0x200000" }]);
  const receipt = await site.local.rpc<{ contractAddress: Hex }>("eth_getTransactionReceipt", [hash]);
  return getAddress(receipt.contractAddress);
}

type Options = {
  readonly finalityBlocks?: number;
  readonly maxBatch?: number;
  /** Milliseconds between two second looks of the indexers. */
  readonly recheckMs?: number;
  /** First block that is read of a chain; 0 when left out. */
  readonly startBlocks?: Partial<Record<Name, number>>;
  readonly reportEquivocation?: boolean;
  /** Requests are served by another process than the one that delivers, as far as the database can tell. */
  readonly separateApi?: boolean;
  /** Messages from alpha to beta are delivered by proof. */
  readonly byProof?: boolean;
  readonly retryFailed?: boolean;
  /** Managed account that pays for deliveries. */
  readonly account?: string;
  /** Where validators listen; their own ports when left out. */
  readonly ports?: readonly number[];
  readonly policy?: z.input<typeof relayConfigSchema>["policy"];
  readonly bridges?: z.input<typeof relayConfigSchema>["bridges"];
  /** Where the service finds a chain instead of at its own address. */
  readonly urls?: Partial<Record<Name, string>>;
  /** The service's clock, if not the machine's. */
  readonly clock?: Clock;
};

export type Harness = Awaited<ReturnType<typeof openHarness>>;

/** A service with all roles and up to three validators, in this process, on chains that are there. */
export async function openHarness(backend: DatabaseBackend, sites: Sites, options: Options = {}) {
  const database = await backend.open();
  const { db } = database;
  const folder = mkdtempSync(join(tmpdir(), "lockstep-relay-"));
  const { clock = systemClock } = options;
  const log = quietLog;
  await migrate(db, [...eventMigrations, ...indexerMigrations, ...senderMigrations, ...relayMigrations]);
  const configOf = (name: Name) =>
    chainConfigSchema.parse({
      ...{
        chainId: sites[name].local.chainId,
        endpoints: [options.urls?.[name] ?? sites[name].url],
        pollMs: 10,
        recheckMs: options.recheckMs ?? 5_000,
        startBlock: options.startBlocks?.[name] ?? 0,
      },
      ...{ finality: { blocks: options.finalityBlocks ?? 0 }, blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1 },
      ...{ gateway: sites[name].contracts.gateway, timelock: sites[name].contracts.timelock },
      stateOracle: sites[name].contracts.stateOracle,
    });
  const chains = Object.fromEntries(
    names.map((name) => [name, createChain({ name, ...configOf(name) }, { log, clock, errorsAbi })]),
  ) as Record<Name, ChainAccess>;
  const keyStore = createKeyStore(Object.fromEntries(Object.entries(keys).map(([name, key]) => [name, redact(key)])));
  const sealer = createSealer(redact(randomBytes(32)));
  const ports = options.ports ?? (await Promise.all(validatorNames.map(freePort)));
  const relayConfig = relayConfigSchema.parse({
    ...{ account: options.account ?? "relayer", senderAccount: "alice", maxBatch: options.maxBatch ?? 50 },
    ...{
      retryFailed: options.retryFailed ?? false,
      policy: options.policy,
      bridges: options.bridges,
      bridgeLookMs: 50,
    },
    reportEquivocation: options.reportEquivocation ?? true,
    lanes: [
      { origin: "alpha", destination: "beta", delivery: options.byProof ? "proof" : "checkpoint" },
      { origin: "beta", destination: "alpha" },
    ],
    validators: validatorNames.map((name, index) => ({
      ...{ name, address: privateKeyToAddress(validatorKeys[name]), url: `http://127.0.0.1:${ports[index]}` },
    })),
  });
  /** The relay as a process of its own has it. */
  const processOn = (own: Db) => {
    const schemas = { ...intentEvents, ...relayEvents };
    const store = createEventStore({ db: own, log, clock, schemas, projections: relayProjections });
    const sendTo = fixed(Object.fromEntries(names.map((name) => [name, { chain: chains[name] }])));
    const sender = createSender({ db: own, store, chains: sendTo, keyStore, sealer, clock, log });
    const ends = names.map((name) => {
      const { gateway, stateOracle } = sites[name].contracts;
      return [name, { chain: chains[name], gateway, stateOracle, prove: chains[name].prove }];
    });
    const shared = { db: own, store, sender, keyStore, clock, log };
    return {
      store,
      sender,
      relay: createRelay({ ...shared, chains: fixed(Object.fromEntries(ends)), config: relayConfig }),
    };
  };
  const { store, sender, relay } = processOn(db);
  const front = options.separateApi ? processOn(database.another()) : { relay };
  const sameChain = createSameChain({ clock, confirm: { looks: 2, ms: 0 } });
  const indexers = names.map((name) => {
    const deps = { chain: chains[name], config: configOf(name), db, observers: [relay.observer], sameChain };
    return createIndexer({ ...deps, log, clock });
  });
  const jobs = new Set<Promise<void>>();
  const outbox = createOutbox<Job>({
    ...{ name: "jobs", store, db, log, clock, routes: relay.routes },
    enqueue: async (list) => {
      for (const job of list) {
        const done = relay.handlers[job.name]?.(job.data).catch(() => undefined) ?? Promise.resolve();
        jobs.add(done);
        void done.then(() => jobs.delete(done));
      }
    },
  });
  const http = await createHttpServer({ log, title: "test", version: "1", description: "" });
  await front.relay.plugin(http);
  await http.listen({ host: "127.0.0.1", port: 0 });
  const address = http.server.address();
  const url = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
  const validators = new Map<ValidatorName, Validator>();

  await sender.start();
  outbox.start();
  for (const indexer of indexers) indexer.start();
  relay.start();

  async function api<T>(method: string, path: string, body?: unknown): Promise<{ status: number; body: T }> {
    const response = await fetch(url + path, {
      method,
      headers: { "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as T };
  }
  const message = async (id: string) => (await api<WireMessage>("GET", `/v1/messages/${id}`)).body;
  /** A validator's configuration, as its file would have it. */
  const validatorConfig = (name: ValidatorName, overrides: { relayerUrl?: string; storeFile?: string } = {}) =>
    validatorConfigSchema.parse({
      ...{ name, key: { variable: "NONE" }, listen: { port: ports[validatorNames.indexOf(name)] }, pollMs: 10 },
      relayerUrl: overrides.relayerUrl ?? url,
      storeFile: overrides.storeFile ?? join(folder, `${name}.sqlite`),
      chains: Object.fromEntries(names.map((chain) => [chain, configOf(chain)])),
    });

  return {
    ...{ url, ports, db, store, folder, relay, chains, indexers, keyStore, validatorConfig },
    gateways: { alpha: configOf("alpha").gateway, beta: configOf("beta").gateway },
    api,
    message,
    /** Waits until the message has one of the statuses. */
    reaches: (id: string, ...statuses: MessageView["status"][]) =>
      until(
        async () => {
          const found = await message(id);
          return statuses.includes(found.status) && found;
        },
        `message ${id} is ${statuses.join(" or ")}`,
        20_000,
      ),
    async startValidator(
      name: ValidatorName,
      overrides: { key?: Hex; relayerUrl?: string; storeFile?: string; clock?: Clock } = {},
    ) {
      const time = overrides.clock ?? clock;
      const config = validatorConfig(name, overrides);
      const own = Object.fromEntries(
        names.map((chain) => [chain, [createChain({ name: chain, ...configOf(chain) }, { log, clock: time })]]),
      );
      const key = redact(overrides.key ?? validatorKeys[name]);
      const validator = createValidator({ config, key, chains: own, clock: time, log });
      await validator.start();
      validators.set(name, validator);
      return validator;
    },
    async stopValidator(name: ValidatorName) {
      await validators.get(name)?.stop();
      validators.delete(name);
    },
    async close() {
      await Promise.all([...validators.values()].map((validator) => validator.stop()));
      await http.close();
      await Promise.all(indexers.map((indexer) => indexer.stop()));
      await outbox.stop();
      await relay.stop();
      await Promise.all(jobs);
      await sender.stop();
      await database.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A message as JSON has it. */
export type WireMessage = Omit<MessageView, "nonce" | "gasLimit" | "timeline"> & {
  nonce?: string;
  gasLimit?: string;
  timeline: { what: string; transactionHash?: Hex; detail?: string; code?: string }[];
};

async function freePort(): Promise<number> {
  const { createServer } = await import("node:net");
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === "object" && address ? address.port : 0;
}

/** The message with this payload, once the service has seen it. */
export function messageOf(h: Harness, payload: Hex): Promise<WireMessage> {
  return until(async () => {
    const { messages } = (await h.api<{ messages: WireMessage[] }>("GET", "/v1/messages?limit=50")).body;
    return messages.find((message) => message.payload === payload);
  }, `message ${payload} is seen`);
}

/** How often the recipient at beta got this payload, as its logs say. */
export async function receivedAt(h: Harness, { beta }: Sites, payload: Hex): Promise<number> {
  const toBlock = await beta.local.height();
  const logs = await h.chains.beta.logs({ fromBlock: 0n, toBlock, addresses: [beta.contracts.recorder] });
  return logs.filter(({ data }) => data.includes(payload.slice(2))).length;
}
