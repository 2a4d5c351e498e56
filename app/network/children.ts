import { type ChildProcess, fork } from "node:child_process";
import { createWriteStream } from "node:fs";
import { inheritedEnv } from "#core/config/env.ts";
import { LockstepError } from "#core/kernel/errors.ts";

export type Child = {
  readonly name: string;
  readonly process: ChildProcess;
  /** Resolves when it has ended. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  /** Asks it to end, and kills it when it has not after the patience. */
  stop(patienceMs?: number): Promise<void>;
};

export type ChildOptions = {
  readonly name: string;
  readonly script: string;
  readonly args: readonly string[];
  readonly cwd?: string;
  /** Options of Node itself. */
  readonly nodeArgs?: readonly string[];
  /** Added to the inherited environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** File that gets its standard error; what it prints on standard output is dropped. */
  readonly logFile: string;
};

const quiet = ["--disable-warning=ExperimentalWarning"];
const endWithParent = new URL("./endWithParent.ts", import.meta.url).href;

/** Starts a Node script that ends when this process ends, however that happens. */
export function startChild(options: ChildOptions): Child {
  const child = fork(options.script, options.args, {
    cwd: options.cwd,
    env: { ...inheritedEnv(), ...options.env },
    execArgv: [...quiet, ...(options.nodeArgs ?? []), "--import", endWithParent],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  child.stderr?.pipe(createWriteStream(options.logFile, { flags: "a" }));
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    child.once("error", () => resolve({ code: 1, signal: null }));
  });
  return {
    name: options.name,
    process: child,
    ended,
    async stop(patienceMs = 10_000) {
      child.kill("SIGTERM");
      const timer = setTimeout(() => child.kill("SIGKILL"), patienceMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

/** Waits until `ready` answers true; throws `internal` naming the log when the child ends first or time runs out. */
export async function untilReady(
  child: Child,
  options: { ready: () => Promise<boolean>; logFile: string; timeoutMs: number },
): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  let over: string | undefined;
  void child.ended.then(({ code, signal }) => {
    over = signal ?? `status ${code}`;
  });
  while (!(await options.ready().catch(() => false))) {
    if (over !== undefined)
      throw new LockstepError("internal", `${child.name} ended while starting (${over}); see ${options.logFile}`);
    if (Date.now() > deadline)
      throw new LockstepError("internal", `${child.name} did not start in time; see ${options.logFile}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
