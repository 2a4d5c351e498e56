import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { claimPorts } from "#app/network/ports.ts";
import { isRequired } from "./required.ts";

/** A server of the caller's own, which may be restarted and killed at will. */
export type Server = {
  readonly port: number;
  readonly url: string;
  /** Killed, and started again after so many milliseconds. */
  restart(downMs: number): Promise<void>;
  /** Ends it, by SIGQUIT unless told; it can be begun again. */
  end(signal?: NodeJS.Signals): Promise<void>;
  begin(): Promise<void>;
  /** Sends a signal and waits for nothing. */
  signal(signal: NodeJS.Signals): void;
  stop(): Promise<void>;
};

/** Where Debian keeps the programs of PostgreSQL, the newest version, or the search path. */
export function program(name: string): string {
  const versions = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql").sort() : [];
  const file = join("/usr/lib/postgresql", versions.at(-1) ?? "", "bin", name);
  return existsSync(file) ? file : name;
}

/** Whether a program can be started here. Fails instead where LOCKSTEP_TEST_REQUIRE names the server. */
export function hasProgram(name: string, server: string): boolean {
  try {
    execFileSync(program(name), ["--version"], { stdio: "ignore" });
    return true;
  } catch (error) {
    if (isRequired(server)) throw error;
    return false;
  }
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until there is an answer, for half a minute. */
export async function answering(look: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return void (await look());
    } catch (error) {
      if (tries === 300) throw error;
      await wait(100);
    }
  }
}

/** A server that is not running yet: `begin` starts it. */
export function createServer(options: {
  port: number;
  url: string;
  launch(): ChildProcess;
  look(): Promise<unknown>;
  clean(): void;
}): Server {
  let child: ChildProcess | undefined;
  const begin = async () => {
    child = options.launch();
    await answering(options.look);
  };
  const end = async (signal: NodeJS.Signals = "SIGQUIT") => {
    const ending = child;
    child = undefined;
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return;
    const over = new Promise<void>((resolve) => ending.once("exit", () => resolve()));
    ending.kill(signal);
    // One that was stopped takes no other signal before it goes on.
    if (signal !== "SIGKILL") ending.kill("SIGCONT");
    await over;
  };
  return {
    ...{ port: options.port, url: options.url, begin, end },
    signal: (signal) => void child?.kill(signal),
    async restart(downMs) {
      await end();
      await wait(downMs);
      await begin();
    },
    async stop() {
      await end();
      options.clean();
    },
  };
}

export async function freePort(): Promise<number> {
  const [port = 0] = await claimPorts([{ what: "a server", option: "", port: 0 }]);
  return port;
}

export type RedisServer = Server & {
  /** Asks it something over a connection that is closed afterwards. */
  ask<T>(work: (redis: Redis) => Promise<T>): Promise<T>;
  empty(): Promise<void>;
};

/** Redis on a port of its own, which keeps nothing when it ends. `args`: what else it is started with. */
export async function startRedis(
  options: { port?: number; args?: readonly string[]; password?: string } = {},
): Promise<RedisServer> {
  const { port = await freePort(), args = [], password } = options;
  const folder = mkdtempSync(join(tmpdir(), "lockstep-test-redis-"));
  const url = `redis://127.0.0.1:${port}`;
  const ask = async <T>(work: (redis: Redis) => Promise<T>): Promise<T> => {
    const redis = new Redis(url, {
      ...{ lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 },
      ...(password !== undefined && { password }),
    });
    redis.on("error", () => undefined);
    try {
      await redis.connect();
      return await work(redis);
    } finally {
      redis.disconnect();
    }
  };
  const all = [
    ...["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder],
    // A replica is to have everything at once.
    ...["--repl-diskless-sync-delay", "0"],
    ...(password === undefined ? [] : ["--requirepass", password, "--masterauth", password]),
    ...args,
  ];
  const server = createServer({
    ...{ port, url },
    launch: () => spawn("redis-server", all, { stdio: "ignore" }),
    look: () => ask((redis) => redis.ping()),
    clean: () => rmSync(folder, { recursive: true, force: true }),
  });
  await server.begin();
  return { ...server, ask, empty: () => ask(async (redis) => void (await redis.flushall())) };
}
