import { writeFileSync } from "node:fs";
import type { WayOfDelivery } from "#relay";
import type { Deployment } from "./deploy.ts";
import type { KeyFile } from "./keys.ts";
import type { Layout } from "./layout.ts";
import type { LocalChain } from "./localChain.ts";

/** Time bounds of chains on this machine: they mine at once, and a busy laptop is the only congestion. */
const timing = { blockSeconds: 1, inclusionSeconds: 2, skewSeconds: 1, idles: true };
/** Seconds within which a killed service is at work again; longer on a machine that is busy with other things. */
const reactionSeconds = 4;
/** Twice that is within the reaction: a service that was killed finds its leases free again when it is back. */
const leaseSeconds = 1;

export type DeployedChain = LocalChain & { readonly deployment: Deployment };
export type ValidatorSeat = { readonly name: string; readonly key: KeyFile; readonly port: number };

/** Two thirds of them. */
export const quorumOf = (seats: readonly ValidatorSeat[]): number => Math.ceil((2 * seats.length) / 3);

export type LaneSetting = { readonly origin: string; readonly destination: string; readonly delivery: WayOfDelivery };

export type Settings = {
  layout: Layout;
  apiPort: number;
  chains: readonly DeployedChain[];
  accounts: Readonly<Record<string, KeyFile>>;
  sealingKey: KeyFile;
  relayerAccount: string;
  validators: readonly ValidatorSeat[];
  /** Blocks on top of one before it counts as final. */
  finalityBlocks: number;
  /** As in the configuration file; every pair of chains when left out. */
  lanes?: readonly LaneSetting[] | undefined;
  /** As in the configuration file; there is no desk when left out. */
  desk?: object | undefined;
  /** Keeps this network's jobs apart where several share one Redis. */
  queuePrefix: string;
};

/** Writes the configuration files of the service and of each validator, as a person would write them by hand. */
export function writeSettings(settings: Settings): void {
  write(settings.layout.service, serviceSettings(settings));
  for (const seat of settings.validators)
    write(settings.layout.validator(seat.name), validatorSettings(settings, seat));
}

function chainSettings(settings: Settings) {
  return Object.fromEntries(
    settings.chains.map(({ name, chainId, url, deployment: { gateway, stateOracle, timelock } }) => [
      name,
      {
        chainId,
        endpoints: [{ url, webSocket: url.replace(/^http/, "ws") }],
        finality: { blocks: settings.finalityBlocks },
        pollMs: 25,
        ...timing,
        gateway,
        stateOracle,
        timelock,
      },
    ]),
  );
}

/** On the machine of who runs it nobody has to be kept from asking, */
const unlimited = { perMinute: 60_000_000, burst: 1_000_000 };
/** nor turned away when it was asleep or busy for a while, in milliseconds. */
const eventLoopDelayMs = 600_000;

function serviceSettings(settings: Settings) {
  return {
    dataDir: settings.layout.dataDir,
    http: {
      port: settings.apiPort,
      rateLimit: { caller: unlimited, address: unlimited },
      limits: { eventLoopDelayMs },
    },
    chains: chainSettings(settings),
    accounts: Object.fromEntries(Object.entries(settings.accounts).map(([name, { file }]) => [name, { file }])),
    sealingKey: { file: settings.sealingKey.file },
    queuePrefix: settings.queuePrefix,
    fleet: { leaseSeconds },
    relay: {
      account: settings.relayerAccount,
      ...(settings.lanes && { lanes: settings.lanes }),
      threshold: { rule: "absoluteWeight", weight: quorumOf(settings.validators) },
      validators: settings.validators.map(({ name, key, port }) => ({
        name,
        address: key.address,
        url: `http://127.0.0.1:${port}`,
      })),
    },
    swap: {
      watchtower: {
        account: settings.relayerAccount,
        tokens: Object.fromEntries(
          settings.chains.map(({ name, deployment }) => [name, ["native", deployment.token]] as const),
        ),
      },
      reactionSeconds,
      ...(settings.desk && { desk: settings.desk }),
    },
  };
}

function validatorSettings(settings: Settings, seat: ValidatorSeat) {
  return {
    name: seat.name,
    key: { file: seat.key.file },
    listen: { port: seat.port },
    pollMs: 25,
    relayerUrl: `http://127.0.0.1:${settings.apiPort}`,
    storeFile: settings.layout.validatorStore(seat.name),
    chains: chainSettings(settings),
  };
}

function write(file: string, value: unknown): void {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}
