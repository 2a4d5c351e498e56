import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import pg from "pg";
import { claimPorts } from "#app/network/ports.ts";

/** A server of the drill's own, which it may restart as it likes. */
export type Server = {
  readonly port: number;
  readonly url: string;
  /** Killed, and started again after so many milliseconds. */
  restart(downMs: number): Promise<void>;
  stop(): Promise<void>;
};

/** An account of the system: PostgreSQL does not run as root. */
type Account = { uid: number; gid: number } | undefined;

function accountFor(name: string): Account {
  if (process.getuid?.() !== 0) return undefined;
  const id = (what: "-u" | "-g") => Number(execFileSync("id", [what, name], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** Where Debian keeps the programs of a server, the newest version, or the search path. */
function program(name: string): string {
  const versions = existsSync("/usr/lib/postgresql") ? readdirSync("/usr/lib/postgresql").sort() : [];
  const file = join("/usr/lib/postgresql", versions.at(-1) ?? "", "bin", name);
  return existsSync(file) ? file : name;
}

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function answering(look: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      return void (await look());
    } catch (error) {
      if (tries === 300) throw error;
      await wait(100);
    }
  }
}

function createServer(options: {
  port: number;
  url: string;
  launch(): ChildProcess;
  look(): Promise<unknown>;
  clean(): void;
}): { server: Server; begin(): Promise<void> } {
  let child: ChildProcess | undefined;
  const ended = (one: ChildProcess) => new Promise<void>((resolve) => one.once("exit", () => resolve()));
  const begin = async () => {
    child = options.launch();
    await answering(options.look);
  };
  const end = async (signal: NodeJS.Signals) => {
    if (!child) return;
    const over = ended(child);
    child.kill(signal);
    await over;
  };
  return {
    begin,
    server: {
      port: options.port,
      url: options.url,
      async restart(downMs) {
        await end("SIGQUIT");
        await wait(downMs);
        await begin();
      },
      async stop() {
        await end("SIGQUIT");
        options.clean();
      },
    },
  };
}

/** PostgreSQL on a folder and port of its own. SIGQUIT ends it without a word to anybody, as a crash would. */
export async function startPostgres(): Promise<Server> {
  const [port = 0] = await claimPorts([{ what: "PostgreSQL", option: "", port: 0 }]);
  const folder = mkdtempSync(join(tmpdir(), "lockstep-drill-pg-"));
  const data = join(folder, "data");
  const account = accountFor("postgres");
  mkdirSync(data);
  if (account) for (const each of [folder, data]) chownSync(each, account.uid, account.gid);
  chmodSync(data, 0o700);
  const as = { ...account, stdio: "ignore" as const };
  execFileSync(program("initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync"], as);
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const settings = { listen_addresses: "127.0.0.1", port, unix_socket_directories: folder, max_connections: 200 };
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const { server, begin } = createServer({
    ...{ port, url },
    launch: () => spawn(program("postgres"), ["-D", data, ...args], as),
    async look() {
      const client = new pg.Client({ connectionString: url });
      client.on("error", () => undefined);
      try {
        await client.connect();
        await client.query("SELECT 1");
      } finally {
        await client.end().catch(() => undefined);
      }
    },
    clean: () => rmSync(folder, { recursive: true, force: true }),
  });
  await begin();
  return server;
}

/** Redis on a port of its own, which keeps nothing when it ends. */
export async function startRedis(): Promise<Server & { empty(): Promise<void> }> {
  const [port = 0] = await claimPorts([{ what: "Redis", option: "", port: 0 }]);
  const folder = mkdtempSync(join(tmpdir(), "lockstep-drill-redis-"));
  const url = `redis://127.0.0.1:${port}`;
  const ask = async <T>(work: (redis: Redis) => Promise<T>): Promise<T> => {
    const redis = new Redis(url, { lazyConnect: true, retryStrategy: () => null, maxRetriesPerRequest: 0 });
    redis.on("error", () => undefined);
    try {
      await redis.connect();
      return await work(redis);
    } finally {
      redis.disconnect();
    }
  };
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder];
  const { server, begin } = createServer({
    ...{ port, url },
    launch: () => spawn("redis-server", args, { stdio: "ignore" }),
    look: () => ask((redis) => redis.ping()),
    clean: () => rmSync(folder, { recursive: true, force: true }),
  });
  await begin();
  return { ...server, empty: () => ask(async (redis) => void (await redis.flushall())) };
}
