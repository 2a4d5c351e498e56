import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { createApiClient } from "#app/demo/api.ts";
import { type Child, startChild, untilReady } from "#app/network/children.ts";
import type { Role } from "#core/config/service.ts";
import type { TestNetwork } from "./network.ts";
import { networkPorts } from "./ports.ts";

/** One more process of a network's service, on the same database. */
export type Member = {
  readonly name: string;
  readonly url: string;
  /** What its API wants for what changes something. */
  readonly token: string;
  readonly api: ReturnType<typeof createApiClient>;
  readonly child: Child;
  /** Stopped as a whole, as a machine that hangs. */
  pause(): void;
  goOn(): void;
  /** Whether it takes no connection any more, or takes it and says nothing. */
  isSilent(): Promise<boolean>;
  kill(): Promise<void>;
  /** Asks it to end, and answers its exit code. */
  stop(): Promise<number | null>;
};

/** Those of the configuration file that tests change. */
type Settings = { readonly fleet: object; readonly chains: Readonly<Record<string, object>> };

const main = fileURLToPath(new URL("../../app/main.ts", import.meta.url));

/** Starts a process with the network's configuration, but for what is its own. Resolves when it is ready. */
export async function startMember(
  test: Pick<TestNetwork, "network" | "env">,
  name: string,
  options: {
    roles?: readonly Role[];
    env?: Readonly<Record<string, string>>;
    drainSeconds?: number;
    port?: number;
    /** Changes its configuration. */
    change?: (settings: Settings) => object;
  } = {},
): Promise<Member> {
  const { layout } = test.network;
  const dataDir = join(layout.dataDir, name);
  const file = join(dataDir, "service.json");
  const port = options.port ?? networkPorts().api;
  const shared = JSON.parse(readFileSync(layout.service, "utf8"));
  const fleet = { ...shared.fleet, instance: name, drainSeconds: options.drainSeconds ?? 0 };
  mkdirSync(dataDir, { recursive: true });
  const settings = {
    ...{ ...shared, dataDir, fleet, http: { ...shared.http, port } },
    ...(options.roles && { roles: options.roles }),
  };
  writeFileSync(file, JSON.stringify(options.change?.(settings) ?? settings));
  const url = `http://127.0.0.1:${port}`;
  const logFile = layout.log(name);
  const env = { LOCKSTEP_LOG_LEVEL: "debug", ...test.env, ...options.env };
  const child = startChild({ name, script: main, args: ["service", "--config", file], logFile, env });
  const ready = async () => (await fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2_000) })).ok;
  await untilReady(child, { ready, logFile, timeoutMs: 60_000 });
  const token = readFileSync(join(dataDir, "token"), "utf8").trim();
  return {
    ...{ name, url, token, child },
    api: createApiClient({ url, token }),
    pause: () => void child.process.kill("SIGSTOP"),
    goOn: () => void child.process.kill("SIGCONT"),
    isSilent: () =>
      fetch(`${url}/health/live`, { signal: AbortSignal.timeout(1_000) }).then(
        () => false,
        () => true,
      ),
    async kill() {
      child.process.kill("SIGKILL");
      await child.ended;
    },
    async stop() {
      await child.stop(30_000);
      return (await child.ended).code;
    },
  };
}
