import { existsSync, writeFileSync } from "node:fs";
import { createPublicClient, formatEther, http, isAddress, type PublicClient } from "viem";
import { privateKeyToAddress } from "viem/accounts";
import { readKey } from "#core/config/accounts.ts";
import { name as chainName } from "#core/config/name.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { checksummed, type Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { toJson } from "#core/kernel/json.ts";
import { exitUnlike } from "../exitCodes.ts";
import { assignRoles, type CoreDeployment, deployCore } from "../network/deploy.ts";
import { createDeployer } from "../network/deployer.ts";
import { createRehearsal } from "../network/rehearsal.ts";
import type { Holders } from "../network/roles.ts";
import { during } from "../progress.ts";
import { interruptible } from "../signals.ts";
import { canAsk, confirm, print, printError, showStatus, table } from "../terminal.ts";
import { type CommandValues, readOptions, usageError } from "./options.ts";
import { deployCommand } from "./specs.ts";

type Values = CommandValues<typeof deployCommand>;
const lookMs = 500;

/**
 * Deploys authority, gateway, state oracle and timelock, hands the roles over, waits until that is final, and writes the
 * addresses down as the configuration has them. Lanes and validators are governance's to set afterwards.
 */
export async function runDeploy(args: readonly string[]): Promise<number> {
  const values = readOptions(deployCommand, args);
  const { rpc, "key-file": keyFile, yes, json } = values;
  const dryRun = values["dry-run"];
  if (rpc === undefined || keyFile === undefined) throw usageError("expected --rpc and --key-file");
  if (!/^https?:$/.test(URL.parse(rpc)?.protocol ?? "")) throw usageError("--rpc: expected http:// or https://");
  if (!chainName.safeParse(values.name).success)
    throw usageError("--name: expected lower case letters, digits, dashes");
  const finality = finalityOf(values.finality);
  const out = values.out ?? `${values.name}.deployment.json`;
  if (!dryRun && existsSync(out)) throw usageError(`--out: ${out} is there already, and is not overwritten`);
  if (!dryRun && !yes && !canAsk()) throw usageError("there is nobody to ask: expected --yes, or --dry-run");
  const key = readKey({ file: keyFile }, "--key-file");
  const address = privateKeyToAddress(key.reveal());
  const holders = holdersOf(values, address);
  return interruptible(async (signal) => {
    const client = createPublicClient({ transport: http(rpc), cacheTime: 0 });
    const plan = await during("asking the chain", look(client, values, address, holders)).catch(unreachable);
    const say = json ? printError : print;
    if (json && dryRun) print(toJson({ dryRun, ...plan }));
    else say(describe(plan));
    if (dryRun) return 0;
    if (plan.balance < plan.cost) {
      throw new LockstepError(
        "balance-insufficient",
        `${address} holds ${formatEther(plan.balance)}; about ${formatEther(plan.cost)} are needed`,
      );
    }
    if (!yes && !(await confirm(`deploy to chain ${plan.chainId}?`))) return exitUnlike;
    const startBlock = await client.getBlockNumber();
    const deployer = createDeployer({ url: rpc, key });
    const deployed = await during("deploying", deployAll(deployer, holders, plan.delay)).catch(unreachable);
    await untilFinal(client, finality, signal);
    const written = fileOf(values.name, plan.chainId, startBlock, deployed, address);
    writeFileSync(out, `${toJson(written)}\n`, { flag: "wx" });
    print(json ? toJson({ file: out, ...written }) : `${describeDeployed(deployed)}\n\nwritten to ${out}`);
    return 0;
  });
}

/** What is about to happen. Throws `chain-id-mismatch` for another chain than was named. */
async function look(client: PublicClient, values: Values, address: Hex, holders: Holders) {
  const wanted = values["chain-id"];
  const [chainId, nonce, balance, fees] = await Promise.all([
    ...[client.getChainId(), client.getTransactionCount({ address })],
    client.getBalance({ address }),
    client.estimateFeesPerGas(),
  ] as const);
  if (wanted !== undefined && wanted !== String(chainId)) {
    throw new LockstepError("chain-id-mismatch", `--rpc is of chain ${chainId}, not of ${wanted}`);
  }
  if (!/^\d{1,7}$/.test(values.delay)) throw usageError("--delay: expected whole seconds");
  const delay = Number(values.delay);
  const rehearsal = createRehearsal({ address, nonce });
  const contracts = await deployAll(rehearsal, holders, delay);
  const { transactions, gas } = { transactions: rehearsal.transactions(), gas: rehearsal.gas() };
  const cost = gas * (fees.maxFeePerGas ?? 0n);
  return { ...{ chainId, deployer: address, nonce, balance, holders, delay }, contracts, transactions, gas, cost };
}

type Plan = Awaited<ReturnType<typeof look>>;

async function deployAll(deployer: Parameters<typeof deployCore>[0], holders: Holders, delay: number) {
  const deployed = await deployCore(deployer);
  await assignRoles(deployer, deployed, holders, delay);
  return deployed;
}

function describe({ chainId, deployer, balance, transactions, gas, cost, contracts, holders, delay }: Plan): string {
  return [
    `chain ${chainId}, ${transactions} transactions, at most about ${gas.toLocaleString("en")} gas, ${formatEther(cost)} at present prices`,
    `deployer ${deployer} holds ${formatEther(balance)}`,
    "",
    table(["role", `holder (delay ${delay} s)`], Object.entries(holders)),
    "",
    describeDeployed(contracts),
  ].join("\n");
}

const describeDeployed = (contracts: CoreDeployment): string =>
  table(["contract", "address"], Object.entries(contracts));

/** `chains` goes into the configuration as it is, beside the endpoints and bounds of the chain. */
const fileOf = (name: string, chainId: number, startBlock: bigint, deployed: CoreDeployment, deployer: Hex) => {
  const { authority, gateway, stateOracle, timelock } = deployed;
  const chain = { chainId, startBlock: Number(startBlock), gateway, timelock, stateOracle };
  return { chains: { [name]: chain }, authority, deployer };
};

function holdersOf(values: Values, deployer: Hex): Holders {
  const holder = (role: "administrator" | "governance" | "guardian" | "operator") => {
    const given = values[role] ?? deployer;
    if (!isAddress(given)) throw usageError(`--${role}: expected an address (in mixed case with a valid checksum)`);
    return checksummed(given);
  };
  return {
    ...{ administrator: holder("administrator"), governance: holder("governance") },
    ...{ guardian: holder("guardian"), operator: holder("operator") },
  };
}

function finalityOf(text: string): "safe" | "finalized" | bigint {
  if (text === "safe" || text === "finalized") return text;
  if (/^\d{1,6}$/.test(text)) return BigInt(text);
  throw usageError("--finality: expected safe, finalized or a number of blocks");
}

/** Until what is mined now cannot be undone by a reorganisation. */
async function untilFinal(
  client: PublicClient,
  finality: "safe" | "finalized" | bigint,
  signal: AbortSignal,
): Promise<void> {
  const mined = await client.getBlockNumber();
  while (!signal.aborted) {
    const at =
      typeof finality === "bigint"
        ? { number: (await client.getBlockNumber()) - finality }
        : await client.getBlock({ blockTag: finality });
    if ((at.number ?? 0n) >= mined) break;
    showStatus(`waiting until block ${mined} is final, ${mined - (at.number ?? 0n)} to go`);
    await systemClock.sleep(lookMs, signal);
  }
  showStatus("");
}

function unreachable(error: unknown): never {
  if (error instanceof Error && "walk" in error) {
    const { shortMessage } = error as Error & { shortMessage?: string };
    // The library's longer message quotes the URL, which may hold a key.
    throw new LockstepError("chain-unreachable", `--rpc: ${shortMessage ?? "the chain does not answer as it should"}`);
  }
  throw error;
}
