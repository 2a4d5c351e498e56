import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { createServer, freePort, program, type Server } from "./servers.ts";

export type PostgresServer = Server & {
  /** Runs one statement as the superuser; with several the rows are those of the last. */
  ask<Row extends object>(sql: string, database?: string): Promise<Row[]>;
};

/** An account of the system: PostgreSQL does not run as root. */
type Account = { uid: number; gid: number } | undefined;

function accountFor(name: string): Account {
  if (process.getuid?.() !== 0) return undefined;
  const id = (what: "-u" | "-g") => Number(execFileSync("id", [what, name], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

const urlOf = (port: number, database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`;

async function askAt<Row extends object>(port: number, sql: string, database = "postgres"): Promise<Row[]> {
  const client = new pg.Client({ connectionString: urlOf(port, database) });
  client.on("error", () => undefined);
  try {
    await client.connect();
    const answer: pg.QueryResult | pg.QueryResult[] = await client.query(sql);
    return (Array.isArray(answer) ? answer.at(-1) : answer)?.rows ?? [];
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** `fill`: makes the data folder. SIGQUIT ends the server without a word to anybody, as a crash would. */
async function start(fill: (data: string, as: object) => void): Promise<PostgresServer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "lockstep-test-pg-"));
  const data = join(folder, "data");
  const account = accountFor("postgres");
  mkdirSync(data);
  if (account) for (const each of [folder, data]) chownSync(each, account.uid, account.gid);
  chmodSync(data, 0o700);
  const as = { ...account, stdio: "ignore" as const };
  fill(data, as);
  const settings = {
    ...{ listen_addresses: "127.0.0.1", port, unix_socket_directories: folder, max_connections: 200 },
    hot_standby_feedback: "on",
  };
  const args = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const server = createServer({
    ...{ port, url: urlOf(port, "postgres") },
    launch: () => spawn(program("postgres"), ["-D", data, ...args], as),
    look: () => askAt(port, "SELECT 1"),
    clean: () => rmSync(folder, { recursive: true, force: true }),
  });
  await server.begin();
  return { ...server, ask: (sql, database) => askAt(port, sql, database) };
}

/** PostgreSQL on a folder and port of its own. */
export function startPostgres(): Promise<PostgresServer> {
  return start((data, as) => {
    execFileSync(program("initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync"], as);
  });
}

/** A streaming replica of it. */
export function startReplica(primary: Pick<Server, "port">): Promise<PostgresServer> {
  const from = ["-h", "127.0.0.1", "-p", String(primary.port), "-U", "postgres", "--checkpoint=fast", "--no-sync"];
  return start((data, as) => {
    execFileSync(program("pg_basebackup"), ["-D", data, ...from, "-R", "-X", "stream"], as);
  });
}
