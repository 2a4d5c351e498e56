import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Network, type NetworkOptions, startNetwork } from "#app/network/network.ts";
import { onServer, postgresServer } from "#test/support/databases.ts";
import { redisUrl } from "#test/support/queues.ts";
import { createWallet, type Hex, type Wallet } from "./wallet.ts";

/** What the service keeps its data and jobs in. */
export type Store = "postgres" | "embedded";

/** A way that messages are sent on, with contracts of its own at both ends. */
export type Route = {
  readonly origin: Wallet;
  readonly destination: Wallet;
  /** Recipient at the destination; takes every message. */
  readonly counter: Hex;
  /** Contracts at the origin that send a hundred messages in a transaction. */
  readonly senders: readonly Hex[];
};

/** A local network under load: chains that mine at once, three validators of which two must sign, the service. */
export type World = Route & {
  readonly network: Network;
  /** Name of the PostgreSQL database; undefined with the embedded one. */
  readonly database: string | undefined;
  close(): Promise<void>;
};

const senderCount = 4;

/** `server`: the PostgreSQL that the database is made on. */
export async function openWorld(
  store: Store,
  options: Pick<NetworkOptions, "moreChains" | "endpointOf" | "serviceEnv"> & { readonly server?: string } = {},
): Promise<World> {
  const { server = postgresServer, ...rest } = options;
  const database = store === "postgres" ? `lockstep_bench_${randomBytes(6).toString("hex")}` : undefined;
  if (database) await onServer(`CREATE DATABASE ${database}`, server);
  const home = database
    ? { DATABASE_URL: new URL(database, server).href, REDIS_URL: redisUrl }
    : { DATABASE_URL: "", REDIS_URL: "" };
  const dataDir = mkdtempSync(join(tmpdir(), "lockstep-bench-"));
  const clean = async () => {
    if (database) await onServer(`DROP DATABASE ${database} WITH (FORCE)`, server);
    rmSync(dataDir, { recursive: true, force: true });
  };
  try {
    const network = await startNetwork({
      ...{ dataDir, ports: { api: 0, alpha: 0, beta: 0, validators: 0 }, say: () => undefined },
      ...rest,
      serviceEnv: { ...home, LOCKSTEP_LOG_LEVEL: "info", ...rest.serviceEnv },
    });
    const close = async () => {
      await network.stop();
      await clean();
    };
    const { alpha, beta } = network.chains;
    if (!alpha || !beta) throw new Error("the network has other chains than expected");
    const [origin, destination] = await Promise.all([createWallet(alpha), createWallet(beta)]);
    return { network, database, ...(await deployRoute(origin, destination, senderCount)), close };
  } catch (error) {
    await clean();
    throw error;
  }
}

export async function deployRoute(origin: Wallet, destination: Wallet, count: number): Promise<Route> {
  const counter = await destination.deploy(bytecodeOf("MessageCounter"));
  const senders: Hex[] = [];
  while (senders.length < count) senders.push(await origin.deploy(bytecodeOf("MessageBurst")));
  return { origin, destination, counter, senders };
}

function bytecodeOf(mock: string): Hex {
  const file = new URL(`../../artifacts/contracts/mocks/${mock}.sol/${mock}.json`, import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { bytecode: Hex }).bytecode;
}
