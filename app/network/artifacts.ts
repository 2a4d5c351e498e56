import { readFileSync } from "node:fs";
import { z } from "zod";
import { type Hex, hex } from "#core/kernel/codec.ts";

const artifactSchema = z.object({ bytecode: hex });

/** Contracts that a local network deploys, and where the compiler leaves them. */
const sources = {
  AccessManager: "@openzeppelin/contracts/access/manager/AccessManager.sol",
  ERC1967Proxy: "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol",
  Gateway: "contracts/Gateway.sol",
  GatewayControl: "contracts/GatewayControl.sol",
  HashedTimelock: "contracts/HashedTimelock.sol",
  StateOracle: "contracts/StateOracle.sol",
  MessageRecorder: "contracts/mocks/MessageRecorder.sol",
  TestToken: "contracts/mocks/TestToken.sol",
} as const;

export type ContractName = keyof typeof sources;

/** Creation bytecode as compiled by the set-up. */
export function bytecodeOf(name: ContractName): Hex {
  const file = new URL(`../../artifacts/${sources[name]}/${name}.json`, import.meta.url);
  return artifactSchema.parse(JSON.parse(readFileSync(file, "utf8"))).bytecode;
}
