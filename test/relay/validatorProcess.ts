import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Child, startChild, untilReady } from "#app/network/children.ts";
import type { ValidatorConfig } from "#core/config/validator.ts";
import { until } from "../support/until.ts";
import { type ValidatorName, validatorKeys } from "./harness.ts";

const main = fileURLToPath(new URL("../../app/main.ts", import.meta.url));

type Health = { readonly status: string; readonly reason?: string };

/** A validator as operators run it: the command, a file, a process that can be killed. */
export type ValidatorProcess = {
  /** Resolves when it answers; what is given is added to its command line. */
  start(...more: string[]): Promise<void>;
  /** Starts it so that it kills itself at the mark. */
  startDyingAt(mark: string): void;
  /** Resolves once the process has ended by SIGKILL. */
  killed(): Promise<void>;
  kill(): Promise<void>;
  stop(): Promise<void>;
  health(): Promise<Health>;
  reaches(status: string): Promise<Health>;
  /** POST to what relayers ask; rejects when the process dies of it. */
  post(path: string, body: unknown): Promise<Record<string, unknown>>;
};

export function createValidatorProcess(config: ValidatorConfig, folder: string): ValidatorProcess {
  const { name } = config;
  const file = join(folder, `${name}.json`);
  const logFile = join(folder, `${name}.log`);
  writeFileSync(file, JSON.stringify({ ...config, key: { variable: "VALIDATOR_KEY" } }));
  const url = `http://127.0.0.1:${config.listen.port}`;
  const env = { VALIDATOR_KEY: validatorKeys[name as ValidatorName], LOCKSTEP_LOG_LEVEL: "debug" };
  let child: Child | undefined;

  function launch(args: readonly string[], more: Record<string, string>): Child {
    child = startChild({
      name,
      script: main,
      args: ["validator", "--config", file, ...args],
      env: { ...env, ...more },
      logFile,
    });
    return child;
  }
  const health = async () => (await (await fetch(`${url}/health/live`)).json()) as Health;

  return {
    async start(...more) {
      // A halted one answers too.
      const ready = async () => (await health()).status !== "starting";
      await untilReady(launch(more, {}), { ready, logFile, timeoutMs: 30_000 });
    },
    startDyingAt(mark) {
      launch([], { LOCKSTEP_CRASH_AT: mark });
    },
    async killed() {
      const how = await child?.ended;
      if (how?.signal !== "SIGKILL")
        throw new Error(`${name} ended by itself: ${how?.signal ?? how?.code}; see ${logFile}`);
    },
    async kill() {
      child?.process.kill("SIGKILL");
      await child?.ended;
    },
    stop: async () => child?.stop(),
    health,
    reaches: (status) =>
      until(async () => {
        const found = await health().catch(() => undefined);
        return found?.status === status && found;
      }, `${name} is ${status}`),
    async post(path, body) {
      const response = await fetch(url + path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      return (await response.json()) as Record<string, unknown>;
    },
  };
}
