import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { type Child, startChild, untilReady } from "./children.ts";
import { createDeployer, type Deployer } from "./deployer.ts";
import type { KeyFile } from "./keys.ts";
import type { Layout } from "./layout.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const startMs = 60_000;

export type LocalChain = {
  readonly name: string;
  readonly chainId: number;
  readonly url: string;
  readonly child: Child;
  readonly deployer: Deployer;
};

/** Chains of a local network by name, with the ids that `hardhat.config.ts` gives them. */
const localChainIds: Readonly<Record<string, number>> = {
  ...{ alpha: 31_337_01, beta: 31_337_02 },
  ...{ gamma: 31_337_03, delta: 31_337_04, epsilon: 31_337_05 },
};

/** Starts a Hardhat chain as a process of its own and funds the deployer there. */
export async function startLocalChain(options: {
  name: string;
  port: number;
  layout: Layout;
  deployer: KeyFile;
}): Promise<LocalChain> {
  const { name, port, layout } = options;
  const logFile = layout.log(name);
  const cli = createRequire(import.meta.url)
    .resolve("hardhat/package.json")
    .replace("package.json", "dist/src/cli.js");
  const args = ["node", "--network", name, "--port", String(port), "--hostname", "127.0.0.1"];
  const child = startChild({ name: `chain ${name}`, script: cli, args, cwd: root, logFile });
  const url = `http://127.0.0.1:${port}`;
  const deployer = createDeployer({ url, key: options.deployer.key });
  const ready = async () => {
    await deployer.fund(deployer.address, 10n ** 24n);
    return true;
  };
  await untilReady(child, { ready, logFile, timeoutMs: startMs });
  await deployer.catchUpTime();
  return { name, chainId: localChainIds[name] ?? 0, url, child, deployer };
}
