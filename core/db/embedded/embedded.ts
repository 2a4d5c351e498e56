import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, systemClock } from "../../kernel/clock.ts";
import { LockstepError } from "../../kernel/errors.ts";
import type { Log } from "../../observe/log.ts";
import { type StartMessage, startAnswer } from "./protocol.ts";

/** A PostgreSQL database in a process of its own, reached like any other. */
export type EmbeddedDatabase = {
  /** With a password made for this start; it stays valid when the process is started again after a crash. */
  readonly connectionString: string;
  /** Of the database process that runs now. */
  pid(): number | undefined;
  /** Closes the database and waits for its process to end. */
  close(): Promise<void>;
};

export type EmbeddedOptions = {
  readonly log: Log;
  /** Folder for the data, made if missing, held exclusively. Absent: in memory, gone at the end. */
  readonly dataDir?: string;
  /** How long to wait for a predecessor on the same folder that is still closing, in milliseconds. */
  readonly patienceMs?: number;
  /** Lets this process end without `close()`; the database then ends with it. */
  readonly background?: boolean;
  readonly clock?: Clock;
};

type Running = { readonly child: ChildProcess; readonly port: number };

/** Longest wait for a closing database before it is killed; its committed rows are in the log by then. */
const closeMs = 15_000;
const maxRestartMs = 10_000;

/**
 * Starts the embedded database. It ends with this process, also when that is killed, and is started again on the same
 * port when it dies by itself. Throws `data-folder-in-use` when another process has the folder.
 */
export async function startEmbeddedDatabase(options: EmbeddedOptions): Promise<EmbeddedDatabase> {
  const { log, clock = systemClock } = options;
  const password = randomBytes(16).toString("hex");
  const stopped = new AbortController();
  let restarting: Promise<void> | undefined;

  const start = async (port: number): Promise<Running> => {
    const next = await launch(options, { password, port });
    next.child.once("exit", (code, signal) => {
      if (stopped.signal.aborted) return;
      log.error({ exit_code: code, exit_signal: signal }, "embedded database ended by itself, starting it again");
      restarting = restart(next.port);
    });
    return next;
  };

  const restart = async (port: number): Promise<void> => {
    for (let delay = 100; !stopped.signal.aborted; delay = Math.min(delay * 2, maxRestartMs)) {
      try {
        running = await start(port);
        return;
      } catch (error) {
        log.error({ err: error }, "embedded database cannot be started again");
        await clock.sleep(delay, stopped.signal);
      }
    }
  };

  let running = await start(0);
  const connectionString = `postgres://postgres:${password}@127.0.0.1:${running.port}/postgres`;
  if (options.dataDir !== undefined) noteConnection(options.dataDir, connectionString);
  log.info({ port: running.port, data_dir: options.dataDir }, "embedded database is open");
  return {
    connectionString,
    pid: () => running.child.pid,
    async close() {
      stopped.abort();
      if (options.dataDir !== undefined) rmSync(connectionFile(options.dataDir), { force: true });
      await restarting;
      await end(running.child);
    },
  };
}

const connectionFile = (dataDir: string) => join(dataDir, "connection");

/** For commands beside the process that has the folder; as much of a secret as the data that lies next to it. */
function noteConnection(dataDir: string, connectionString: string): void {
  const file = connectionFile(dataDir);
  rmSync(file, { force: true });
  writeFileSync(file, `${connectionString}\n`, { mode: 0o600, flag: "wx" });
}

/** How to reach the database of a folder that another process has open; undefined where it does not say. */
export function openConnection(dataDir: string): string | undefined {
  try {
    return readFileSync(connectionFile(dataDir), "utf8").trim();
  } catch {
    return undefined;
  }
}

/** Without the environment, so that no secret of ours is in another process's, and without our Node options. */
async function launch(options: EmbeddedOptions, given: { password: string; port: number }): Promise<Running> {
  const child = fork(new URL("./child.ts", import.meta.url), {
    env: {},
    execArgv: ["--disable-warning=ExperimentalWarning"],
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    options.log.warn({ output: text.slice(0, 2_000) }, "embedded database wrote to its standard error");
  });
  const message: StartMessage = { ...given, patienceMs: options.patienceMs ?? 5_000 };
  child.send(options.dataDir === undefined ? message : { ...message, dataDir: options.dataDir });
  const answer = await Promise.race([
    once(child, "message").then(([answer]) => startAnswer.parse(answer)),
    once(child, "exit").then(() => undefined),
  ]);
  if (answer?.kind === "ready") {
    if (options.background) {
      child.unref();
      child.channel?.unref();
      unrefStream(child.stderr);
    }
    return { child, port: answer.port };
  }
  await end(child);
  throw new LockstepError(answer?.code ?? "internal", answer?.message ?? "The embedded database ended while starting");
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  const timer = setTimeout(() => child.kill("SIGKILL"), closeMs);
  if (child.connected) child.disconnect();
  await exited;
  clearTimeout(timer);
}

function unrefStream(stream: ChildProcess["stderr"]): void {
  if (stream && "unref" in stream && typeof stream.unref === "function") stream.unref();
}
