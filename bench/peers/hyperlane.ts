import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Address, createPublicClient, createWalletClient, type Hex, http, parseAbi } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { type Checkpoints, serveCheckpoints } from "./checkpoints.ts";

const run = promisify(execFile);

/** A chain as the peer is told of it: one that mines at once, with a key that has coins there. */
export type PeerChain = { readonly name: string; readonly chainId: number; readonly url: string };

export type Hyperlane = {
  /** Sends one message; resolves with its id once its transaction is mined. */
  dispatch(): Promise<Hex>;
  /** Ids of the messages processed at the destination since the given block. */
  processed(fromBlock: bigint): Promise<readonly { readonly id: Hex; readonly block: bigint }[]>;
  destinationHeight(): Promise<bigint>;
  relayer(): ChildProcess;
  /** Starts the relayer once more after it was killed. */
  restart(): Promise<void>;
  stop(): Promise<void>;
};

const mailboxAbi = parseAbi([
  "function dispatch(uint32 destinationDomain, bytes32 recipientAddress, bytes messageBody) payable returns (bytes32)",
  "event DispatchId(bytes32 indexed messageId)",
  "event ProcessId(bytes32 indexed messageId)",
]);
const startMs = 60_000;

/**
 * Hyperlane's published command line on two running chains: its core contracts, a threshold of two of three validators
 * and its TypeScript relayer as published. The validators are imitated (they sign what the merkle tree hook emits at once
 * and do none of a real validator's other work), which can only flatter the result.
 */
export async function startHyperlane(options: {
  /** The command line's script. */
  cli: string;
  folder: string;
  origin: PeerChain;
  destination: PeerChain;
  /** Pays for everything; must have coins on both chains. */
  key: Hex;
}): Promise<Hyperlane> {
  const { cli, folder, origin, destination, key } = options;
  const validators = [1n, 2n, 3n].map((n) => privateKeyToAccount(`0x${n.toString(16).padStart(64, "0")}`));
  const owner = privateKeyToAccount(key);
  const registry = join(folder, "registry");
  for (const chain of [origin, destination]) writeMetadata(registry, chain);
  const core = join(folder, "core.yaml");
  writeFileSync(
    core,
    coreConfig(
      owner.address,
      validators.map(({ address }) => address),
    ),
  );
  const env = { ...(process.env as Record<string, string>), HOME: folder, HYP_KEY: key };
  for (const { name } of [origin, destination]) {
    await run(process.execPath, [cli, "core", "deploy", "--chain", name, "--config", core, "-r", registry, "-y"], {
      env,
    });
  }
  const addresses = { origin: addressesOf(registry, origin), destination: addressesOf(registry, destination) };
  const checkpoints: Checkpoints = await serveCheckpoints({
    url: origin.url,
    chainId: origin.chainId,
    key,
    validators,
    ...addresses.origin,
  });
  const at = {
    origin: createPublicClient({ transport: http(origin.url) }),
    destination: createPublicClient({ transport: http(destination.url) }),
  };
  const wallet = createWalletClient({ account: owner, transport: http(origin.url) });
  let nonce = await at.origin.getTransactionCount({ address: owner.address });
  const relay = () =>
    startRelayer({
      cli,
      folder,
      registry,
      chains: [origin.name, destination.name],
      env: { ...env, AWS_ENDPOINT_URL: checkpoints.url },
    });
  let relayer = await relay();
  return {
    async dispatch() {
      const hash = await wallet.writeContract({
        ...{ chain: null, address: addresses.origin.mailbox, abi: mailboxAbi, functionName: "dispatch", gas: 300_000n },
        args: [destination.chainId, `0x${addresses.destination.testRecipient.slice(2).padStart(64, "0")}`, "0x1234"],
        nonce: nonce++,
      });
      const receipt = await at.origin.waitForTransactionReceipt({ hash, pollingInterval: 5 });
      const [, id] = receipt.logs.find(({ topics }) => topics[0] === dispatchId)?.topics ?? [];
      if (id === undefined) throw new Error("the mailbox sent no message");
      return id;
    },
    async processed(fromBlock) {
      const events = await at.destination.getContractEvents({
        address: addresses.destination.mailbox,
        abi: mailboxAbi,
        eventName: "ProcessId",
        fromBlock,
      });
      return events.flatMap(({ args, blockNumber }) =>
        args.messageId ? [{ id: args.messageId, block: blockNumber }] : [],
      );
    },
    destinationHeight: () => at.destination.getBlockNumber({ cacheTime: 0 }),
    relayer: () => relayer,
    async restart() {
      relayer = await relay();
    },
    async stop() {
      await kill(relayer);
      await checkpoints.stop();
    },
  };
}

/** topic of DispatchId(bytes32) */
const dispatchId = "0x788dbc1b7152732178210e7f4d9d010ef016f9eafbe66786bd7169f56e0c353a";

async function startRelayer(options: {
  cli: string;
  folder: string;
  registry: string;
  chains: readonly string[];
  env: Record<string, string>;
}) {
  const { cli, folder, registry, chains, env } = options;
  const log = join(folder, `relayer-${Date.now()}.log`);
  const out = openSync(log, "a");
  const args = [
    cli,
    "relayer",
    "--chains",
    ...chains,
    "-r",
    registry,
    "--cache",
    join(folder, "cache.json"),
    "--verbosity",
    "debug",
    "-y",
  ];
  const child = spawn(process.execPath, args, {
    env: { ...env, AWS_REGION: "us-east-1", AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "x" },
    stdio: ["ignore", out, out],
  });
  const until = Date.now() + startMs;
  while (!readFileSync(log, "utf8").includes("Starting relayer")) {
    if (child.exitCode !== null || Date.now() > until) throw new Error(`hyperlane's relayer did not start, see ${log}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return child;
}

async function kill(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill(signal);
  await ended;
}

function writeMetadata(registry: string, { name, chainId, url }: PeerChain): void {
  const folder = join(registry, "chains", name);
  mkdirSync(folder, { recursive: true });
  const metadata = {
    ...{
      name,
      displayName: name,
      chainId,
      domainId: chainId,
      protocol: "ethereum",
      isTestnet: true,
      technicalStack: "other",
    },
    nativeToken: { name: "Ether", symbol: "ETH", decimals: 18 },
    rpcUrls: [{ http: url }],
    blocks: { confirmations: 1, reorgPeriod: 0, estimateBlockTime: 1 },
  };
  // JSON is YAML.
  writeFileSync(join(folder, "metadata.yaml"), JSON.stringify(metadata));
}

const coreConfig = (owner: Address, validators: readonly Address[]) =>
  JSON.stringify({
    owner,
    defaultIsm: { type: "messageIdMultisigIsm", threshold: 2, validators },
    defaultHook: { type: "merkleTreeHook" },
    requiredHook: {
      type: "protocolFee",
      owner,
      beneficiary: owner,
      maxProtocolFee: "1000000000000000000",
      protocolFee: "0",
    },
    proxyAdmin: { owner },
  });

type CoreAddresses = Record<"mailbox" | "merkleTreeHook" | "validatorAnnounce" | "testRecipient", Address>;

/** Reads what the deployment wrote: `name: "0x…"` lines. */
function addressesOf(registry: string, { name }: PeerChain): CoreAddresses {
  const text = readFileSync(join(registry, "chains", name, "addresses.yaml"), "utf8");
  const found = [...text.matchAll(/^(\w+): "(0x[0-9a-fA-F]{40})"$/gm)].map(([, what, address]) => [what, address]);
  return Object.fromEntries(found) as CoreAddresses;
}
