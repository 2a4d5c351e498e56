import { encodeFunctionData, type Hex } from "viem";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { encodeRetry } from "#relay/protocol/calls.ts";
import { type Appended, decodeGatewayLogs, type GatewayLog } from "#relay/protocol/logs.ts";
import { accounts, chainLogs, openChain, type TestChain } from "./chains.ts";
import { appendedIn, connectGateway, deliveryOf, deployGateway } from "./lane.ts";

/** A chain with its gateway, as one end of two lanes. */
export type Side = { readonly chain: TestChain; readonly chainId: number; readonly gateway: Hex };

/** A message's attempt: executed, or failed with the reason. */
export type Outcome = Exclude<GatewayLog, { kind: "appended" }>;

/** Whoever sends deliveries; nobody in particular. */
const relayer = 3;

/** Two fresh chains whose gateways, governed by the first account, know each other. */
export async function openPair(): Promise<{ alpha: Side; beta: Side; close: () => Promise<unknown> }> {
  const chains = await Promise.all([openChain("alpha"), openChain("beta")]);
  const [alpha, beta] = await Promise.all([sideOf(chains[0]), sideOf(chains[1])]);
  await Promise.all([
    connectGateway(alpha.chain, alpha.gateway, beta),
    connectGateway(beta.chain, beta.gateway, alpha),
  ]);
  return { alpha, beta, close: () => Promise.all(chains.map((chain) => chain.close())) };
}

/** Puts a price on the lane to `peer`: from now on a message there needs value or credit. */
export async function priceLane({ chain, gateway }: Side, peer: Side): Promise<void> {
  const price = { gasPrice: 10n ** 9n, exchangeRate: 10n ** 18n, overhead: 30_000, validUntil: 2 ** 40 - 1 };
  const args = [BigInt(peer.chainId), price] as const;
  await chain.send(0, { to: gateway, data: encodeFunctionData({ abi: gatewayAbi, functionName: "setPrice", args }) });
}

/** Pays for messages of `account` in advance. */
export async function giveCredit({ chain, gateway }: Side, account: Hex, value = 10n ** 18n): Promise<void> {
  const data = encodeFunctionData({ abi: gatewayAbi, functionName: "depositFor", args: [account] });
  await chain.send(relayer, { to: gateway, data, value });
}

/** What is left of it. */
export const creditOf = ({ chain, gateway }: Side, account: Hex): Promise<bigint> =>
  chain.reader.readContract({ address: gateway, abi: gatewayAbi, functionName: "creditOf", args: [account] });

/** Delivers messages in the order of their lane and answers what became of each. */
export async function carry(origin: Side, destination: Side, messages: readonly Appended[]): Promise<Outcome[]> {
  const { data } = await deliveryOf(origin, destination, messages);
  return outcomes(destination, data);
}

/** Attempts a failed message again; throws when it fails again. */
export async function carryAgain(origin: Side, destination: Side, { nonce, message }: Appended): Promise<Outcome[]> {
  return outcomes(destination, encodeRetry(origin, nonce, message));
}

/** What the gateway of `side` appends to its lanes when one of `accounts` makes a call. */
export async function appendedBy(side: Side, from: number, call: { to: Hex; data: Hex }): Promise<Appended[]> {
  return appendedIn((await side.chain.send(from, call)).logs);
}

/** Who decides about access to a gateway: its AccessManager. */
export function authorityOf({ chain, gateway }: Side): Promise<Hex> {
  return chain.reader.readContract({ address: gateway, abi: gatewayAbi, functionName: "authority" });
}

async function sideOf(chain: TestChain): Promise<Side> {
  return { chain, chainId: chain.chainId, gateway: await deployGateway(chain, accounts[0]!.address) };
}

async function outcomes({ chain, gateway }: Side, data: Hex): Promise<Outcome[]> {
  const { logs } = await chain.send(relayer, { to: gateway, data });
  const ours = chainLogs(logs).filter(({ address }) => address === gateway);
  return decodeGatewayLogs(ours).flatMap((log) => (log.kind === "appended" ? [] : [log]));
}
