import { accessSync, constants, existsSync, statSync } from "node:fs";
import { get as getPlain } from "node:http";
import { get as getByTls } from "node:https";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { json } from "node:stream/consumers";
import type { Env } from "#core/config/env.ts";
import type { ServiceConfig } from "#core/config/service.ts";
import { isFolderHeld } from "#core/db/embedded/lock.ts";
import { apiDescription } from "../api/document.ts";
import { type Finding, fault, ok, skipped, warning, wordsOf } from "./finding.ts";

const leastNode = 24;

export function checkNode(version: string): Finding {
  const major = Number(version.replace(/^v/, "").split(".")[0]);
  if (major >= leastNode) return ok("node", version);
  return fault("node", `${version} runs this`, `use Node ${leastNode} or later: node_modules/.bin/node has it`);
}

/** Whether the data folder can be written to, and whether some process other than the service itself works on it. */
export function checkDataFolder({ dataDir }: Pick<ServiceConfig, "dataDir">, running: Running): Finding {
  const folder = checkFolder("data folder", dataDir, "dataDir");
  if (folder.result !== "ok") return folder;
  const { holdsFolder, answers } = running;
  if (holdsFolder instanceof Error)
    return warning(
      "data folder",
      `its lock cannot be read: ${wordsOf(holdsFolder)}`,
      `look at ${join(resolve(dataDir), "db", "lock")}`,
    );
  if (!holdsFolder) return folder;
  if (answers) return ok("data folder", `${resolve(dataDir)}, which the service works on`);
  return warning(
    "data folder",
    `another process works on ${resolve(dataDir)}`,
    "that is the service itself if it runs; another one needs a `dataDir` of its own",
  );
}

/** Whether a folder that the configuration names in a field can be written to, or be made. */
export function checkFolder(name: string, path: string, field: string): Finding {
  const folder = resolve(path);
  const there = existing(folder);
  try {
    accessSync(there, constants.W_OK | constants.X_OK);
  } catch {
    return fault(name, `${there} cannot be written to`, `let the service's user write to ${folder}`);
  }
  if (!statSync(there).isDirectory()) return fault(name, `${there} is a file`, `name another \`${field}\``);
  return ok(name, there === folder ? folder : `${folder}, still to be made`);
}

/** The path, or what there is of it. */
const existing = (path: string): string => (existsSync(path) ? path : existing(dirname(path)));

type Secrets = Pick<
  ServiceConfig,
  "accounts" | "sealingKey" | "previousSealingKeys" | "archive" | "telemetry" | "swap"
>;

/** Files with keys and other secrets that anybody else could read. */
export function checkKeyFiles({ accounts, archive, telemetry, swap, ...keys }: Secrets): Finding[] {
  const { store } = archive ?? {};
  const sources: Record<string, object | string> = {
    sealingKey: keys.sealingKey,
    ...within("previousSealingKeys", keys.previousSealingKeys),
    ...within("accounts", accounts),
    ...(store?.type === "s3" && within("archive.store", store)),
    ...within("telemetry.traces.headers", telemetry.traces?.headers ?? {}),
    ...within("swap.approval", swap.approval),
  };
  return Object.entries(sources).flatMap(([field, source]) =>
    filesOf(source).map((file) => checkKeyFile(`key file of ${field}`, file)),
  );
}

const within = (field: string, all: object): Record<string, object | string> =>
  Object.fromEntries(Object.entries(all).map(([name, each]) => [`${field}.${name}`, each]));

/** Of a source of a secret, and of those within it: a keystore's password, a remote signer's token. */
function filesOf(source: unknown): string[] {
  if (typeof source !== "object" || source === null) return [];
  return Object.entries(source).flatMap(([name, value]) =>
    typeof value === "string" && (name === "file" || name === "keystore") ? [value] : filesOf(value),
  );
}

function checkKeyFile(name: string, file: string): Finding {
  const mode = statSync(file, { throwIfNoEntry: false })?.mode;
  if (mode === undefined) return fault(name, `${file} is not there`, `write the key to ${file}, or name another file`);
  const open = mode & 0o077;
  if (open === 0) return ok(name, file);
  const found = `others than its owner have rights to ${file} (${(mode & 0o777).toString(8)})`;
  return fault(name, found, `chmod 600 ${file}`);
}

/** What there is to see of the service itself, where it runs. */
type Running = {
  /** A Lockstep answers where the service is to listen. */
  readonly answers: boolean;
  /** Some process works on the data folder; undefined where the database is elsewhere, which has no such lock. */
  readonly holdsFolder: boolean | Error | undefined;
};

/** Looks for the service where its configuration has it. */
export async function lookForService(
  { http, dataDir }: Pick<ServiceConfig, "http" | "dataDir">,
  env: Env,
): Promise<Running> {
  return { answers: await isLockstep(http), holdsFolder: holdsFolder(dataDir, env) };
}

function holdsFolder(dataDir: string, env: Env): Running["holdsFolder"] {
  if (env.DATABASE_URL !== undefined) return undefined;
  try {
    return isFolderHeld(join(resolve(dataDir), "db"));
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

/** Whether the API can listen. The service itself is no fault, which runs there already. */
export async function checkPort(
  { http, roles }: Pick<ServiceConfig, "http" | "roles">,
  { answers, holdsFolder }: Running,
): Promise<Finding> {
  const { host, port, tls } = http;
  const place = `${host}:${port}`;
  if (!roles.includes("api")) return skipped("port", "this process does not play the role `api`");
  if (port === 0) return ok("port", "any that is free");
  const refused = await probe(host, port);
  if (refused === undefined) return ok("port", `${place} is free`);
  if (refused !== "EADDRINUSE")
    return fault("port", `${place} cannot be listened on (${refused})`, "name another `http.host` or `http.port`");
  if (answers && holdsFolder !== false) return ok("port", `the service answers at ${place}`);
  if (answers)
    return warning(
      "port",
      `a service with another data folder answers at ${place}`,
      "stop that one before another is started there, or name another `http.port`",
    );
  if (tls?.requireClientCertificate)
    return skipped("port", `what listens at ${place} answers only who has a client certificate`);
  return fault("port", `${place} is taken by another program`, "name another `http.port`, or end that program");
}

function probe(host: string, port: number): Promise<string | undefined> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => done(error.code ?? error.message));
    server.listen(port, host, () => server.close(() => done(undefined)));
  });
}

/** By the title of its document, which validators and other programs do not have. */
async function isLockstep({ host, port, tls }: ServiceConfig["http"]): Promise<boolean> {
  // It is only asked for its name, which whoever has the port may see: its certificate is that of another host name.
  const get = tls ? getByTls : getPlain;
  const options = { host, port, path: "/openapi.json", timeout: 2_000, rejectUnauthorized: false };
  try {
    const document = await new Promise((resolve, reject) => {
      const request = get(options, (answer) => json(answer).then(resolve, reject));
      request.once("error", reject);
      request.once("timeout", () => request.destroy(new Error("no answer in time")));
    });
    return (document as { info?: { title?: unknown } } | null)?.info?.title === apiDescription.title;
  } catch {
    return false;
  }
}
