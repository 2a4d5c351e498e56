import { type ChildProcess, fork, type Serializable } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { claimPorts } from "#app/network/ports.ts";
import { createDb } from "#core/db/postgres.ts";
import { createApiKeys } from "#core/http/credentials/apiKeys.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { redact } from "#core/kernel/redacted.ts";
import { createSealer } from "#core/kernel/seal.ts";
import { startBareChain } from "#test/support/bareChain.ts";
import { quietLog as log, openBackend } from "#test/support/databases.ts";
import { until } from "#test/support/until.ts";
import type { ClientsPlan, ClientsResult, ClientsWait } from "./sseClients.ts";
import type { WriterPlan } from "./sseWriter.ts";

const main = fileURLToPath(new URL("../../app/main.ts", import.meta.url));

/**
 * Streams of one service process, which are read by a second process and written for by a third, through the event
 * store. `missed` is whatever one of the clients did not get, got twice or out of order; 0 or the figure is worthless.
 */
export async function measureStreams({ clients = 2_000, perSecond = 100, seconds = 10 } = {}) {
  const folder = mkdtempSync(join(tmpdir(), "lockstep-sse-"));
  const children: ChildProcess[] = [];
  const start = (file: string, args: readonly string[] = [], env: NodeJS.ProcessEnv = {}) => {
    const child = fork(file, args, { stdio: "inherit", env: { ...process.env, ...env } });
    children.push(child);
    return child;
  };
  const database = await (await openBackend()).open();
  const chains = await Promise.all([startBareChain(1), startBareChain(2)]);
  try {
    const [port = 0] = await claimPorts([{ what: "API", option: "", port: 0 }]);
    const { connectionString } = database;
    const config = writeConfig({ folder, port, clients, endpoints: chains.map(({ url }) => url) });
    const env = { DATABASE_URL: connectionString, LOCKSTEP_LOG_LEVEL: "error" };
    const service = start(main, ["service", "--config", config], env);
    await until(() => isLive(port), "the service", 60_000);
    const load = start(fileURLToPath(new URL("./sseClients.ts", import.meta.url)));
    await ask(load, { port, clients, secret: await makeKey(connectionString) } satisfies ClientsPlan);
    const writer = start(fileURLToPath(new URL("./sseWriter.ts", import.meta.url)));
    const events = perSecond * seconds;
    const { ms } = await ask<{ ms: number }>(writer, { connectionString, events, perSecond } satisfies WriterPlan);
    const { missed, ended } = await ask<ClientsResult>(load, { events, forMs: 60_000 } satisfies ClientsWait);
    if (ended > 0) throw new Error(`${ended} streams were ended by the service`);
    return { clients, events, missed, rssMiB: peakMiB(service), perSecond: Math.round((1_000 * events) / ms) };
  } finally {
    for (const child of children) if (child.exitCode === null && child.kill()) await once(child, "exit");
    for (const chain of chains) await chain.close();
    await database.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function ask<T>(child: ChildProcess, question: Serializable): Promise<T> {
  child.send(question);
  const gone = once(child, "exit").then(() => Promise.reject(new Error("a process of the benchmark ended")));
  const [answer] = await Promise.race([once(child, "message"), gone]);
  return answer;
}

const isLive = (port: number) =>
  fetch(`http://127.0.0.1:${port}/health/live`).then(
    ({ ok }) => ok,
    () => false,
  );

/** The most that was resident, as Linux has noted it. */
const peakMiB = ({ pid }: ChildProcess) =>
  Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) / 1024);

async function makeKey(connectionString: string): Promise<string> {
  const db = createDb({ connectionString, log });
  const sealer = createSealer(redact(new Uint8Array(randomBytes(32))));
  const { secret } = await createApiKeys({ db, sealer, clock: systemClock, log, accounts: [] }).create(
    { kind: "bearer", name: "bench", role: "viewer" },
    "bench",
  );
  await db.close();
  return secret.reveal();
}

function writeConfig(world: { folder: string; port: number; clients: number; endpoints: readonly string[] }): string {
  const { folder, port, clients, endpoints } = world;
  const key = (name: string, digit: string) => {
    const file = join(folder, name);
    writeFileSync(file, `0x${digit.repeat(64)}`, { mode: 0o600 });
    return { file };
  };
  const most = 2 * clients;
  const often = { perMinute: 100 * most, burst: most };
  const chain = (url: string | undefined, chainId: number) => ({
    ...{ chainId, endpoints: [url], finality: { blocks: 0 } },
    ...{ blockSeconds: 1, inclusionSeconds: 1, skewSeconds: 1 },
    ...{ gateway: `0x${"11".repeat(20)}`, timelock: `0x${"22".repeat(20)}` },
  });
  const config = {
    ...{ dataDir: folder, roles: ["api"], queuePrefix: `bench${port}` },
    http: {
      ...{ port, access: {}, events: { maxStreams: most, maxStreamsPerCaller: most } },
      ...{ limits: { connections: most, connectionsPerAddress: most }, rateLimit: { caller: often, address: often } },
    },
    chains: { alpha: chain(endpoints[0], 1), beta: chain(endpoints[1], 2) },
    accounts: { relayer: key("relayer", "1") },
    sealingKey: key("sealing", "4"),
    relay: {
      account: "relayer",
      validators: [{ name: "v", address: `0x${"33".repeat(20)}`, url: "http://127.0.0.1:1" }],
    },
    swap: { reactionSeconds: 5 },
  };
  const file = join(folder, "service.json");
  writeFileSync(file, JSON.stringify(config));
  return file;
}
