import { accessSync, constants, existsSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import type { AccountSource } from "#core/config/accounts.ts";
import type { Env } from "#core/config/env.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import { isFolderHeld } from "#core/db/embedded/lock.ts";
import { type Finding, fault, ok, skipped, warning, wordsOf } from "./finding.ts";

const leastNode = 24;

export function checkNode(version: string): Finding {
  const major = Number(version.replace(/^v/, "").split(".")[0]);
  if (major >= leastNode) return ok("node", version);
  return fault("node", `${version} runs this`, `use Node ${leastNode} or later: node_modules/.bin/node has it`);
}

/** Whether the data folder can be written to, and whether some process works on it. */
export function checkDataFolder({ dataDir }: Pick<ServiceConfig, "dataDir">, env: Env): Finding {
  const folder = resolve(dataDir);
  const there = existing(folder);
  try {
    accessSync(there, constants.W_OK | constants.X_OK);
  } catch {
    return fault("data folder", `${there} cannot be written to`, `let the service's user write to ${folder}`);
  }
  if (there === folder && !statSync(folder).isDirectory())
    return fault("data folder", `${folder} is a file`, "name another `dataDir`");
  if (env.DATABASE_URL !== undefined) return ok("data folder", folder);
  try {
    if (!isFolderHeld(join(folder, "db")))
      return ok("data folder", there === folder ? folder : `${folder}, still to be made`);
  } catch (error) {
    return warning(
      "data folder",
      `its lock cannot be read: ${wordsOf(error)}`,
      `look at ${join(folder, "db", "lock")}`,
    );
  }
  return warning(
    "data folder",
    `another process works on ${folder}`,
    "that is the service itself if it runs; another one needs a `dataDir` of its own",
  );
}

/** The path, or what there is of it. */
const existing = (path: string): string => (existsSync(path) ? path : existing(dirname(path)));

/** Key files that anybody else could read. */
export function checkKeyFiles(config: Pick<ServiceConfig, "accounts" | "sealingKey">): Finding[] {
  const accounts = Object.entries(config.accounts).map(([name, source]) => [`accounts.${name}`, source] as const);
  const sources: (readonly [string, AccountSource])[] = [["sealingKey", config.sealingKey], ...accounts];
  return sources.flatMap(([field, source]): Finding[] => {
    const files = [
      ...("file" in source ? [source.file] : []),
      ...("keystore" in source ? [source.keystore] : []),
      ...("password" in source && "file" in source.password ? [source.password.file] : []),
    ];
    return files.map((file) => checkKeyFile(`key file of ${field}`, file));
  });
}

function checkKeyFile(name: string, file: string): Finding {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) return fault(name, `${file} is not there`, `write the key to ${file}, or name another file`);
  const open = mode & 0o077;
  if (open === 0) return ok(name, file);
  const found = `others than its owner have rights to ${file} (${(mode & 0o777).toString(8)})`;
  return fault(name, found, `chmod 600 ${file}`);
}

/** Whether the API can listen. A service that runs there already is no fault. */
export async function checkPort({ http, roles }: Pick<ServiceConfig, "http" | "roles">): Promise<Finding> {
  const { host, port } = http;
  const place = `${host}:${port}`;
  if (!roles.includes("api")) return skipped("port", "this process does not play the role `api`");
  if (port === 0) return ok("port", "any that is free");
  const refused = await probe(host, port);
  if (refused === undefined) return ok("port", `${place} is free`);
  if (refused !== "EADDRINUSE")
    return fault("port", `${place} cannot be listened on (${refused})`, "name another `http.host` or `http.port`");
  if (await isOurs(host, port))
    return warning("port", `a service answers at ${place} already`, "stop that one before another is started there");
  return fault("port", `${place} is taken by another program`, "name another `http.port`, or end that program");
}

function probe(host: string, port: number): Promise<string | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => done(undefined)));
  });
}

async function isOurs(host: string, port: number): Promise<boolean> {
  const name = host.includes(":") ? `[${host}]` : host;
  try {
    const answer = await fetch(`http://${name}:${port}/health/live`, { signal: AbortSignal.timeout(2_000) });
    return ((await answer.json()) as { status?: unknown }).status === "live";
  } catch {
    return false;
  }
}
