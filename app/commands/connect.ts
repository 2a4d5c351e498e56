import { readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { parseEnv } from "#core/config/load.ts";
import { address } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { parseJson } from "#core/kernel/json.ts";
import { type Redacted, redact } from "#core/kernel/redacted.ts";
import { type Client, createClient } from "../client/index.ts";
import { usageError } from "./options.ts";
import { defaultDataDir } from "./specs.ts";

const localNetworkSchema = z.object({
  chains: z.record(z.string(), z.object({ url: z.string(), token: address, recorder: address })),
});
/** What the folder of a local network says of it. */
export type LocalNetwork = z.output<typeof localNetworkSchema>;

const listenSchema = z.object({ http: z.object({ host: z.string().default("127.0.0.1"), port: z.number() }) });

/** The service that a command asks. */
export type Connection = {
  readonly url: string;
  readonly token: Redacted<string> | undefined;
  readonly client: Client;
  /** Undefined where it is not the one of a local network's folder. */
  readonly network: LocalNetwork | undefined;
};

type Values = {
  readonly url: string | undefined;
  readonly "token-file": string | undefined;
  readonly "data-dir": string;
};

/**
 * Finds the service: by `--url`, by the environment, or the local network's by its folder. The folder's token is shown
 * to that service alone: another one could use it.
 */
export function connect(values: Values): Connection {
  const env = parseEnv();
  const folder = values["data-dir"];
  const given = values.url ?? env.LOCKSTEP_URL;
  if (given !== undefined && !/^https?:$/.test(URL.parse(given)?.protocol ?? ""))
    throw usageError(`url: expected http:// or https://, not "${given}"`);
  const local = localUrl(folder);
  if (given === undefined && local === undefined && folder !== defaultDataDir)
    throw usageError(`--data-dir: there is no local network in ${folder}`);
  const url = given ?? local ?? "http://127.0.0.1:7600";
  const isLocal = local !== undefined && new URL(url).origin === new URL(local).origin;
  const token = tokenOf(values["token-file"]) ?? env.LOCKSTEP_TOKEN ?? (isLocal ? localToken(folder) : undefined);
  return {
    ...{ url, token, client: createClient({ url, ...(token && { token: token.reveal() }) }) },
    network: isLocal ? localNetworkSchema.safeParse(readJson(join(folder, "network.json"))).data : undefined,
  };
}

function localUrl(folder: string): string | undefined {
  const { data } = listenSchema.safeParse(readJson(join(folder, "service.json")));
  return data && `http://${data.http.host.includes(":") ? `[${data.http.host}]` : data.http.host}:${data.http.port}`;
}

function localToken(folder: string): Redacted<string> | undefined {
  const text = readText(join(folder, "token"))?.trim();
  return text ? redact(text) : undefined;
}

function tokenOf(file: string | undefined): Redacted<string> | undefined {
  if (file === undefined) return undefined;
  const text = readText(file)?.trim();
  if (text) return redact(text);
  throw new LockstepError("config-invalid", `--token-file: expected a token in ${file}; there is nothing`, {
    details: { field: "--token-file" },
  });
}

const readJson = (file: string): unknown => parseJson(readText(file) ?? "");

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
