import { readFileSync, writeFileSync } from "node:fs";
import { createPublicClient, encodeFunctionData, http } from "viem";
import { assignRoles, connectGateway, type Deployment, deployContracts } from "#app/network/deploy.ts";
import { createDeployer } from "#app/network/deployer.ts";
import { ensureKey } from "#app/network/keys.ts";
import type { Network } from "#app/network/network.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { messageRecorderAbi } from "#core/abi/messageRecorder.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { encodeInteroperable } from "#relay/protocol/interoperable.ts";
import { type LocalChain, startLocalChain } from "#test/support/localChain.ts";

type Site = { readonly url: string; readonly chainId: number; readonly deployment: Deployment };

/** A chain that a network was not started with. */
export type ThirdChain = Site & {
  readonly local: LocalChain;
  /** What `POST /v1/chains` is told about it. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** Messages that its recorder contract got. */
  recorded(): Promise<bigint>;
};

const gammaId = 31_337_03;

/** Starts a chain, deploys there, and connects its gateway with those of the network, both ways. */
export async function openThirdChain(network: Network): Promise<ThirdChain> {
  const local = await startLocalChain(gammaId);
  const key = ensureKey(network.layout.keys, "deployer").key;
  const deployer = createDeployer({ url: local.url, key });
  await deployer.fund(deployer.address, 10n ** 24n);
  const deployment = await deployContracts(deployer, { name: "gamma dollar", symbol: "gammaUSD" });
  const validators = network.validators.map(({ name }) => ({
    account: ensureKey(network.layout.keys, name).address,
    weight: 1n,
  }));
  const set = { validators, threshold: { rule: "absoluteWeight" as const, weight: 2n } };
  const own = { chainId: gammaId, gateway: deployment.gateway };
  for (const { chainId, deployment: there, deployer: theirs } of Object.values(network.chains)) {
    await connectGateway(deployer, deployment.gateway, { chainId, gateway: there.gateway }, set);
    await connectGateway(theirs, there.gateway, own, set);
  }
  await assignRoles(deployer, deployment);
  for (const { address } of Object.values(network.accounts)) await deployer.fund(address, 10n ** 21n);
  const client = createPublicClient({ transport: http(local.url), cacheTime: 0 });
  const count = { address: deployment.recorder, abi: messageRecorderAbi, functionName: "count" } as const;
  return {
    ...{ local, deployment, url: local.url, chainId: gammaId },
    settings: settingsOf(local.url, gammaId, deployment),
    recorded: () => client.readContract(count),
  };
}

function settingsOf(url: string, chainId: number, { gateway, timelock }: Deployment) {
  const timing = { blockSeconds: 1, inclusionSeconds: 2, skewSeconds: 1, idles: true };
  return { chainId, endpoints: [url], finality: { blocks: 0 }, pollMs: 25, ...timing, gateway, timelock };
}

/** Tells the validators of the network about a chain, in their configuration files, and starts them anew. */
export async function teachValidators(network: Network, name: string, settings: ThirdChain["settings"]): Promise<void> {
  for (const validator of network.validators) {
    const file = network.layout.validator(validator.name);
    const config = JSON.parse(readFileSync(file, "utf8")) as { chains: Record<string, unknown> };
    writeFileSync(file, JSON.stringify({ ...config, chains: { ...config.chains, [name]: settings } }));
    await validator.stop();
    await validator.start();
  }
}

/** Sends a message straight to a gateway, past the service. */
export async function sendPast(network: Network, from: Site, to: Site): Promise<void> {
  const deployer = createDeployer({ url: from.url, key: ensureKey(network.layout.keys, "deployer").key });
  const recipient: Hex = encodeInteroperable({ chainId: to.chainId, address: to.deployment.recorder });
  const data = encodeFunctionData({ abi: gatewayAbi, functionName: "sendMessage", args: [recipient, "0x1234", []] });
  await deployer.send(from.deployment.gateway, data);
}
