import {
  type AbiFunction,
  type ContractFunctionName,
  encodeFunctionData,
  isAddressEqual,
  toFunctionSelector,
} from "viem";
import { accessManagerAbi as abi } from "#core/abi/accessManager.ts";
import { gatewayAbi } from "#core/abi/gateway.ts";
import type { Hex } from "#core/kernel/codec.ts";

/**
 * Governance decides what validators and code are trusted, after a delay in which everybody can see it coming. The
 * guardian stops things, and the operator does what needs no trust, both at once.
 */
export type Role = "governance" | "guardian" | "operator";

/** Who holds what. The administrator of the AccessManager says who holds the roles, after the same delay as governance. */
export type Holders = Readonly<Record<Role | "administrator", Hex>>;

export type AccessPlan = {
  readonly gateway: Hex;
  /** Where one is deployed; only governance may change it. */
  readonly stateOracle?: Hex;
  /** Administers the AccessManager until now, and afterwards only if it is named among the holders. */
  readonly deployer: Hex;
  readonly holders: Holders;
  /** Seconds between scheduling and executing what governance and the administrator decide; 0 for at once. */
  readonly delay: number;
};

type GatewayFunction = ContractFunctionName<typeof gatewayAbi, "nonpayable" | "payable">;

/** Ids of the roles in the AccessManager; 0 is its administrator. They are for ever. */
export const roleIds: Readonly<Record<Role | "administrator", bigint>> = {
  administrator: 0n,
  governance: 1n,
  guardian: 2n,
  operator: 3n,
};

/** Every restricted function of the gateway, under the role that may call it. */
export const gatewayDuties: Readonly<Record<Role, readonly GatewayFunction[]>> = {
  governance: [
    ...(["setLane", "setLimits", "setValidators", "setStateOracle", "upgradeToAndCall"] as const),
    ...(["unpause", "realign", "collectFees"] as const),
  ],
  guardian: ["pause", "pauseAll", "revokeEpoch"],
  operator: ["defer", "undefer", "setPrice"],
};

const roles = ["governance", "guardian", "operator"] as const;

/**
 * Calldata with which the deployer puts a gateway's AccessManager under the plan, all in one transaction. Whatever the
 * deployer still wants to do with the gateway itself comes before.
 *
 * The guardian may cancel what governance has scheduled. It may not cancel what the administrator has scheduled:
 * otherwise a stolen guardian key could never be taken away from it.
 */
export function encodeAccessPlan({ gateway, stateOracle, deployer, holders, delay }: AccessPlan): Hex {
  const calls = [
    ...roles.map((role) => encodeFunctionData({ abi, functionName: "labelRole", args: [roleIds[role], role] })),
    ...roles.map((role) => assign(gateway, role, selectorsOf(role))),
    ...(stateOracle === undefined ? [] : [assign(stateOracle, "governance", [upgradeSelector])]),
    encodeFunctionData({ abi, functionName: "setRoleGuardian", args: [roleIds.governance, roleIds.guardian] }),
    ...roles.map((role) => grant(role, holders[role], role === "governance" ? delay : 0)),
    // Takes effect after the AccessManager's own five days; until then the administrator's delay alone holds.
    ...[gateway, ...(stateOracle === undefined ? [] : [stateOracle])].map((target) =>
      encodeFunctionData({ abi, functionName: "setTargetAdminDelay", args: [target, delay] }),
    ),
    // From here on the deployer may be under a delay, or nobody.
    grant("administrator", holders.administrator, delay),
  ];
  if (!isAddressEqual(holders.administrator, deployer)) {
    const args = [roleIds.administrator, deployer] as const;
    calls.push(encodeFunctionData({ abi, functionName: "renounceRole", args }));
  }
  return encodeFunctionData({ abi, functionName: "multicall", args: [calls] });
}

/** What proxies of both kinds are upgraded by. */
const upgradeSelector = toFunctionSelector("upgradeToAndCall(address,bytes)");

function selectorsOf(role: Role): Hex[] {
  const functions: readonly AbiFunction[] = gatewayAbi.filter((item) => item.type === "function");
  return functions
    .filter(({ name }) => gatewayDuties[role].some((duty) => duty === name))
    .map((item) => toFunctionSelector(item));
}

function assign(target: Hex, role: Role, selectors: readonly Hex[]): Hex {
  const args = [target, selectors, roleIds[role]] as const;
  return encodeFunctionData({ abi, functionName: "setTargetFunctionRole", args });
}

function grant(role: Role | "administrator", account: Hex, delay: number): Hex {
  return encodeFunctionData({ abi, functionName: "grantRole", args: [roleIds[role], account, delay] });
}
