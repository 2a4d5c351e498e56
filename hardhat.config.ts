import { createRequire } from "node:module";
import nodeTestRunner from "@nomicfoundation/hardhat-node-test-runner";
import { defineConfig, overrideTask } from "hardhat/config";

const solcPath = createRequire(import.meta.url).resolve("solc/soljson.js");

/** The IR pipeline makes cheaper code and takes long: what people pay gas for is compiled with it, mocks and tests not. */
const compiler = ({ runs = 1_000_000, ...pipeline }: { viaIR?: true; runs?: number }) => ({
  version: "0.8.37",
  path: solcPath,
  preferWasm: true,
  settings: { ...pipeline, optimizer: { enabled: true, runs }, evmVersion: "prague" },
});

/** A local chain: no gas price floor games, and time that does not run ahead of the clock in a burst. */
const localChain = (chainId: number) => ({
  type: "edr-simulated" as const,
  chainType: "l1" as const,
  chainId,
  allowBlocksWithSameTimestamp: true,
});

/** Files are spread over several processes, and a suite that cannot be set up fails the run. */
const testNodejs = overrideTask(["test", "nodejs"])
  .setAction(() => import("./test/spread/action.ts"))
  .build();

export default defineConfig({
  plugins: [nodeTestRunner],
  tasks: [testNodejs],
  solidity: {
    compilers: [compiler({})],
    overrides: {
      "contracts/Gateway.sol": compiler({ viaIR: true }),
      "contracts/HashedTimelock.sol": compiler({ viaIR: true }),
      // A whole gateway and more, which the other pipeline cannot compile.
      "contracts/mocks/GatewayV2.sol": compiler({ viaIR: true, runs: 1 }),
    },
    // What a deployment, or a test, needs besides our own contracts.
    npmFilesToBuild: [
      "@openzeppelin/contracts/access/manager/AccessManager.sol",
      "@openzeppelin/contracts/crosschain/CrosschainRemoteExecutor.sol",
      "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol",
    ],
  },
  paths: { tests: { nodejs: "./test", solidity: "./test/contracts" } },
  test: {
    solidity: {
      fuzz: { runs: 256 },
      invariant: { runs: 24, depth: 60 },
    },
  },
  networks: {
    alpha: localChain(31_337_01),
    beta: localChain(31_337_02),
    // For load: a network has the first two.
    gamma: localChain(31_337_03),
    delta: localChain(31_337_04),
    epsilon: localChain(31_337_05),
  },
});
