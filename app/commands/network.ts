import { parseEnv } from "#core/config/load.ts";
import { toJson } from "#core/kernel/json.ts";
import { exitOfSignal } from "../exitCodes.ts";
import type { Deployment } from "../network/deploy.ts";
import { type Network, type NetworkOptions, startNetwork } from "../network/network.ts";
import { askedToStop } from "../signals.ts";
import { print, printError, table } from "../terminal.ts";
import { type CommandValues, portOption, readOptions } from "./options.ts";
import { networkCommand } from "./specs.ts";

type Values = Omit<CommandValues<typeof networkCommand>, "json">;

/** `npm start`: a local network until it is asked to stop. */
export async function runNetwork(args: readonly string[]): Promise<number> {
  const values = readOptions(networkCommand, args);
  return runLocalNetwork(networkOptionsOf(values), values.json);
}

export const networkOptionsOf = (values: Values) => ({
  ports: {
    api: portOption("--port", values.port),
    alpha: portOption("--alpha-port", values["alpha-port"]),
    beta: portOption("--beta-port", values["beta-port"]),
    validators: portOption("--validator-port", values["validator-port"]),
  },
  dataDir: values["data-dir"],
  reset: values.reset,
});

type Options = Pick<NetworkOptions, "ports" | "dataDir" | "reset">;

/** Runs a network until it is asked to stop; with `json` one document says when it is ready, and where. */
export async function runLocalNetwork(options: Options, json: boolean): Promise<number> {
  const say = json ? printError : print;
  const { DATABASE_URL } = parseEnv();
  const serviceEnv: Record<string, string> = DATABASE_URL === undefined ? {} : { DATABASE_URL };
  const stopping = askedToStop();
  const signal = { value: undefined as NodeJS.Signals | undefined };
  void stopping.then((value) => {
    signal.value = value;
  });
  const started = startNetwork({ ...options, keepAlive: true, serviceEnv, say });
  const network = await started.catch((error: unknown) => {
    // A signal to the whole terminal ends what is being started.
    if (signal.value === undefined) throw error;
    return exitOfSignal(signal.value);
  });
  if (typeof network === "number") return network;
  try {
    if (json) print(toJson(summary(network, options.dataDir)));
    else describe(network, options.dataDir);
    const ended = await Promise.race([stopping.then(() => undefined), network.chainEnded]);
    if (ended === undefined) {
      say("stopping …");
      return 0;
    }
    say(`chain ${ended} ended by itself, so everything is stopped`);
    return 1;
  } finally {
    await network.stop();
  }
}

const summary = (network: Network, dataDir: string) => ({
  api: network.api,
  dataDir,
  chains: Object.fromEntries(
    Object.values(network.chains).map(({ name, chainId, url, deployment }) => [name, { chainId, url, ...deployment }]),
  ),
  accounts: Object.fromEntries(Object.entries(network.accounts).map(([name, { address }]) => [name, address])),
});

const contractNames: Readonly<Record<keyof Deployment, string>> = {
  gateway: "gateway",
  stateOracle: "state oracle",
  timelock: "timelock",
  token: "test token",
  recorder: "message recorder",
  authority: "authority",
};

function describe(network: Network, dataDir: string): void {
  const chains = Object.values(network.chains);
  print();
  print(
    table(
      ["chain", "id", "endpoint"],
      chains.map(({ name, chainId, url }) => [name, String(chainId), url]),
    ),
  );
  print();
  const contracts = Object.entries(contractNames);
  const addressesOf = (key: keyof Deployment) => chains.map(({ deployment }) => deployment[key]);
  const rows = contracts.map(([key, name]) => [name, ...addressesOf(key as keyof Deployment)]);
  print(table(["contract", ...chains.map(({ name }) => name)], rows));
  print();
  print(
    table(
      ["account", "address on both chains"],
      Object.entries(network.accounts).map(([name, { address }]) => [name, address]),
    ),
  );
  print();
  print(`API        ${network.api}/v1     documentation ${network.api}/docs`);
  print(`logs       ${dataDir}/logs`);
  print();
  print("Send a message from alpha to beta:");
  print();
  print(curl(network, dataDir, "/v1/messages", exampleMessage(network)));
  print();
  print("Swap one coin of alpha for 2,500 test tokens of beta:");
  print();
  print(curl(network, dataDir, "/v1/swaps", exampleSwap(network)));
  print();
  print("Press Ctrl-C to stop.");
}

function exampleMessage(network: Network) {
  return {
    origin: "alpha",
    destination: "beta",
    recipient: network.chains.beta?.deployment.recorder,
    payload: "0x68656c6c6f",
  };
}

function exampleSwap(network: Network) {
  return {
    source: { chain: "alpha", asset: { type: "native" }, amount: "1000000000000000000" },
    target: {
      chain: "beta",
      asset: { type: "erc20", address: network.chains.beta?.deployment.token },
      amount: "2500000000",
    },
    initiator: { account: "alice" },
    counterparty: { account: "bob" },
  };
}

function curl(network: Network, dataDir: string, path: string, body: unknown): string {
  return [
    `  curl -s ${network.api}${path} \\`,
    `    -H "authorization: Bearer $(cat ${dataDir}/token)" -H 'content-type: application/json' \\`,
    `    -d '${JSON.stringify(body)}'`,
  ].join("\n");
}
