import { encodeFunctionData } from "viem";
import { accessManagerAbi } from "#core/abi/accessManager.ts";
import { erc1967ProxyAbi } from "#core/abi/erc1967Proxy.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import { hashedTimelockAbi } from "#core/abi/hashedTimelock.ts";
import { messageRecorderAbi } from "#core/abi/messageRecorder.ts";
import { stateOracleAbi } from "#core/abi/stateOracle.ts";
import { testTokenAbi } from "#core/abi/testToken.ts";
import type { Hex } from "#core/kernel/codec.ts";
import { type QuorumSet, toContractSet } from "#relay";
import type { Deployer } from "./deployer.ts";
import { encodeAccessPlan, type Holders } from "./roles.ts";

/** The contracts that every chain has. */
export type CoreDeployment = {
  readonly authority: Hex;
  readonly gateway: Hex;
  readonly stateOracle: Hex;
  readonly timelock: Hex;
};

/** The contracts of one chain of a local network. */
export type Deployment = CoreDeployment & { readonly token: Hex; readonly recorder: Hex };

/** What contracts are deployed with: one account, one transaction after the other. */
type Hands = Pick<Deployer, "address" | "deploy" | "send">;

const laneCaps = { maxGasLimit: 5_000_000, maxPayload: 16_384, defaultGasLimit: 200_000 } as const;

/** The contracts of a chain of a local network, which knows no peers yet. */
export async function deployContracts(
  deployer: Deployer,
  tokenName: { name: string; symbol: string },
): Promise<Deployment> {
  const core = await deployCore(deployer);
  const token = await deployer.deploy("TestToken", testTokenAbi, [tokenName.name, tokenName.symbol, 6]);
  const recorder = await deployer.deploy("MessageRecorder", messageRecorderAbi, [core.gateway]);
  return { ...core, token, recorder };
}

/** Everything a chain needs before it knows its peers. The deployer is the authority's administrator. */
export async function deployCore(deployer: Hands): Promise<CoreDeployment> {
  const authority = await deployer.deploy("AccessManager", accessManagerAbi, [deployer.address]);
  const implementation = await deployGatewayCode(deployer);
  const initialize = encodeFunctionData({ abi: gatewayAbi, functionName: "initialize", args: [authority] });
  const gateway = await deployer.deploy("ERC1967Proxy", erc1967ProxyAbi, [implementation, initialize]);
  const stateOracle = await deployStateOracle(deployer, { authority, gateway });
  const timelock = await deployer.deploy("HashedTimelock", hashedTimelockAbi, []);
  return { authority, gateway, stateOracle, timelock };
}

/** The code of a gateway, both halves; what its proxy points to. */
export async function deployGatewayCode(deployer: Hands): Promise<Hex> {
  const control = await deployer.deploy("GatewayControl", gatewayAbi, []);
  return deployer.deploy("Gateway", gatewayAbi, [control]);
}

/** A state oracle that believes the gateway's validators, and that the gateway takes proofs from. */
async function deployStateOracle(
  deployer: Hands,
  { authority, gateway }: Pick<Deployment, "authority" | "gateway">,
): Promise<Hex> {
  const implementation = await deployer.deploy("StateOracle", stateOracleAbi, []);
  const args = [authority, gateway] as const;
  const initialize = encodeFunctionData({ abi: stateOracleAbi, functionName: "initialize", args });
  const oracle = await deployer.deploy("ERC1967Proxy", erc1967ProxyAbi, [implementation, initialize]);
  await deployer.send(gateway, encodeFunctionData({ abi: gatewayAbi, functionName: "setStateOracle", args: [oracle] }));
  return oracle;
}

/** Connects a gateway to another chain: the lane both ways, and the validators that speak for that chain. */
export async function connectGateway(
  deployer: Deployer,
  gateway: Hex,
  peer: { chainId: number; gateway: Hex },
  set: QuorumSet,
): Promise<void> {
  const chainId = BigInt(peer.chainId);
  const lane = { gateway: peer.gateway, ...laneCaps };
  await deployer.send(gateway, encodeFunctionData({ abi: gatewayAbi, functionName: "setLane", args: [chainId, lane] }));
  const args = [chainId, 0n, toContractSet(set), 0n] as const;
  await deployer.send(gateway, encodeFunctionData({ abi: gatewayAbi, functionName: "setValidators", args }));
}

/**
 * Puts a gateway under its roles. On a local network the deployer keeps them all and nothing is delayed, unless told
 * otherwise; elsewhere the deployer names others, gives a delay in seconds, and has no say afterwards.
 */
export async function assignRoles(
  deployer: Pick<Hands, "address" | "send">,
  { authority, gateway, stateOracle }: Pick<Deployment, "authority" | "gateway" | "stateOracle">,
  holders: Holders = {
    administrator: deployer.address,
    governance: deployer.address,
    guardian: deployer.address,
    operator: deployer.address,
  },
  delay = 0,
): Promise<void> {
  await deployer.send(
    authority,
    encodeAccessPlan({ gateway, stateOracle, deployer: deployer.address, holders, delay }),
  );
}

/** Mints test tokens to each holder, in the token's smallest unit. */
export async function mintTokens(
  deployer: Deployer,
  token: Hex,
  holders: readonly Hex[],
  amount: bigint,
): Promise<void> {
  for (const holder of holders) {
    await deployer.send(token, encodeFunctionData({ abi: testTokenAbi, functionName: "mint", args: [holder, amount] }));
  }
}
