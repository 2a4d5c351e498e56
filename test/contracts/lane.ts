import { encodeFunctionData, type Hex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { type Delivery, encodeDeliver } from "#relay/protocol/calls.ts";
import { checkpointTypedData } from "#relay/protocol/checkpoint.ts";
import { type Appended, decodeGatewayLogs } from "#relay/protocol/logs.ts";
import type { QuorumSet } from "#relay/protocol/quorum.ts";
import { toContractSet } from "#relay/protocol/quorum.ts";
import { chainLogs, type TestChain } from "./chains.ts";

const proxyPath = "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol/ERC1967Proxy";
const managerPath = "@openzeppelin/contracts/access/manager/AccessManager.sol/AccessManager";

/** Three validators, two of which make a quorum. */
export const validators = [1, 2, 3].map((n) => privateKeyToAccount(`0x${n.toString(16).padStart(64, "0")}`));

export const validatorSet: QuorumSet = {
  validators: validators.map(({ address }) => ({ account: address, weight: 1n })),
  threshold: { rule: "simpleMajority" },
};

/** A gateway behind its proxy, governed by the first account. */
export async function deployGateway(chain: TestChain, admin: Hex): Promise<Hex> {
  const manager = await chain.deploy(managerPath, [admin]);
  const control = await chain.deploy("contracts/GatewayControl.sol/GatewayControl");
  const implementation = await chain.deploy("contracts/Gateway.sol/Gateway", [control]);
  const data = encodeFunctionData({ abi: gatewayAbi, functionName: "initialize", args: [manager] });
  return chain.deploy(proxyPath, [implementation, data]);
}

/** Lets `gateway` on `chain` send to and receive from another one. */
export async function connectGateway(chain: TestChain, gateway: Hex, other: { chainId: number; gateway: Hex }) {
  const config = { gateway: other.gateway, maxGasLimit: 5_000_000, maxPayload: 16_384, defaultGasLimit: 200_000 };
  const origin = BigInt(other.chainId);
  await chain.send(0, {
    to: gateway,
    data: encodeFunctionData({ abi: gatewayAbi, functionName: "setLane", args: [origin, config] }),
  });
  await chain.send(0, {
    to: gateway,
    data: encodeFunctionData({
      abi: gatewayAbi,
      functionName: "setValidators",
      args: [origin, 0n, toContractSet(validatorSet), 0n],
    }),
  });
}

/** What was appended in a receipt. */
export function appendedIn(logs: Parameters<typeof chainLogs>[0]): Appended[] {
  return decodeGatewayLogs(chainLogs(logs)).flatMap((log) => (log.kind === "appended" ? [log] : []));
}

/** A delivery of all the messages given, signed by two of the three validators. */
export async function deliveryOf(
  origin: { chainId: number; gateway: Hex },
  destination: { chainId: number; gateway: Hex },
  messages: readonly Appended[],
): Promise<{ delivery: Delivery; data: Hex }> {
  const { nonce, accumulator } = messages.at(-1)!;
  const checkpoint = {
    originChainId: origin.chainId,
    originGateway: origin.gateway,
    generation: 0,
    nonce,
    accumulator,
    epoch: 1n,
  };
  const signatures = await Promise.all(
    validators.slice(1).map(async (validator) => ({
      signer: validator.address,
      signature: await validator.signTypedData(checkpointTypedData(destination, checkpoint)),
    })),
  );
  const delivery = {
    checkpoint,
    set: validatorSet,
    signatures,
    firstNonce: messages[0]!.nonce,
    messages: messages.map(({ message }) => message),
    laterIds: [],
  };
  return { delivery, data: encodeDeliver(delivery) };
}
