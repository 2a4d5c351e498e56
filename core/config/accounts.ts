import { readFileSync } from "node:fs";
import { z } from "zod";
import { address, type Hex } from "../kernel/codec.ts";
import { isLockstepError, LockstepError } from "../kernel/errors.ts";
import type { ClientCertificates } from "../kernel/postJson.ts";
import { type Redacted, redact } from "../kernel/redacted.ts";
import { readVariable } from "./env.ts";
import { openKeystore } from "./keystore.ts";
import { plainHttpUrl } from "./url.ts";

/** Where a secret is kept outside of the configuration: a file that holds nothing else, or an environment variable. */
const secretSourceSchema = z.union(
  [z.strictObject({ file: z.string().min(1) }), z.strictObject({ variable: z.string().min(1) })],
  'expected { "file": "…" } or { "variable": "…" }',
);
type SecretSource = z.output<typeof secretSourceSchema>;

/** Where 32 secret bytes come from, as 0x-prefixed hex. */
export const keySourceSchema = secretSourceSchema;
export type KeySource = SecretSource;

/** A key in the open, or in an encrypted keystore (Web3 Secret Storage, version 3) with its password. */
export const guardedKeySchema = z.union(
  [keySourceSchema, z.strictObject({ keystore: z.string().min(1), password: secretSourceSchema })],
  'expected { "keystore": "…", "password": … }, { "file": "…" } or { "variable": "…" }',
);
export type GuardedKey = z.output<typeof guardedKeySchema>;

/** Certificates of a client, as PEM files: whom it trusts instead of the machine's list, and what it shows of itself. */
export const clientTlsSchema = z
  .strictObject({
    ca: z.string().min(1).optional(),
    certificate: z.string().min(1).optional(),
    key: z.string().min(1).optional(),
  })
  .refine(({ certificate, key }) => (certificate === undefined) === (key === undefined), {
    message: "expected both a certificate and its key, or neither",
  });
export type ClientTls = z.output<typeof clientTlsSchema>;

/** A service elsewhere that has the key and signs when asked, by JSON-RPC (Web3Signer, Clef). */
const remoteSignerSchema = z.strictObject({
  url: plainHttpUrl,
  /** Whose signatures are expected; others are refused. */
  address,
  /** Bearer token that is shown to it. */
  token: secretSourceSchema.optional(),
  tls: clientTlsSchema.optional(),
  /** Milliseconds that it has for one signature. */
  timeoutMs: z.number().int().positive().max(60_000).default(2_000),
});

/** Certificates of a server, as PEM files; with `clientCa`, who shows no certificate of that authority is refused. */
export const serverTlsSchema = z.strictObject({
  certificate: z.string().min(1),
  key: z.string().min(1),
  clientCa: z.string().min(1).optional(),
});
export type ServerTls = z.output<typeof serverTlsSchema>;

/** How a managed account signs. */
export const accountSourceSchema = z.union(
  [guardedKeySchema, z.strictObject({ remote: remoteSignerSchema })],
  'expected { "keystore": "…", "password": … }, { "remote": … }, { "file": "…" } or { "variable": "…" }',
);
export type AccountSource = z.output<typeof accountSourceSchema>;

/** Reads a key. Errors name where it was looked for, never what was there. */
export function readKey(source: KeySource, field: string): Redacted<Hex> {
  const text = textOf(source);
  if (text !== undefined && /^0x[0-9a-fA-F]{64}$/.test(text)) return redact(text as Hex);
  const found = text === undefined ? "there is nothing" : "there is something else";
  throw invalid(field, `expected 32 bytes as 0x-prefixed hex in ${nameOf(source)}; ${found}`);
}

/** Decrypting a keystore takes a thread and about 128 MiB for a moment. */
const readAtOnce = 2;

/** Reads what fields name, a few at a time. Throws `config-invalid` with all that is wrong with any. */
export async function readEach<T>(
  readers: Readonly<Record<string, () => T | Promise<T>>>,
): Promise<Readonly<Record<string, T>>> {
  const faults: LockstepError[] = [];
  const read = new Map<string, T>();
  const waiting = Object.entries(readers);
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [field, reader] = next;
      try {
        read.set(field, await reader());
      } catch (error) {
        if (!isLockstepError(error, "config-invalid")) throw error;
        faults.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: readAtOnce }, work));
  const [first] = faults;
  if (first === undefined) return Object.fromEntries(read);
  throw new LockstepError("config-invalid", faults.map(({ message }) => message).join("\n"), {
    details: { field: first.details.field, fields: faults.map(({ details }) => String(details.field)) },
  });
}

/** Reads a password or token: one line without the blanks around it. */
export function readSecret(source: SecretSource, field: string): Redacted<string> {
  const text = textOf(source);
  if (text) return redact(text);
  throw invalid(field, `expected a line in ${nameOf(source)}; there is nothing`);
}

/** Reads a key, and decrypts it where it is in a keystore. Throws `config-invalid`. */
export async function readGuardedKey(source: GuardedKey, field: string): Promise<Redacted<Hex>> {
  if (!("keystore" in source)) return readKey(source, field);
  const json = readText(source.keystore);
  if (json === undefined) throw invalid(`${field}.keystore`, `file ${source.keystore} cannot be read`);
  return openKeystore(redact(json), readSecret(source.password, `${field}.password`), field);
}

/** Files of a client's certificates as they are. Throws `config-invalid`. */
export function readTls(tls: ClientTls | undefined, field: string) {
  const entries = Object.entries({ ca: tls?.ca, cert: tls?.certificate, key: tls?.key }).flatMap(([name, path]) => {
    if (path === undefined) return [];
    const text = readText(path);
    if (text === undefined) throw invalid(field, `file ${path} cannot be read`);
    return [[name, text] as const];
  });
  return entries.length === 0 ? undefined : redact(Object.fromEntries(entries) as ClientCertificates);
}

/** The same of a server. Throws `config-invalid`. */
export function readServerTls(tls: ServerTls | undefined, field: string) {
  if (tls === undefined) return undefined;
  const { certificate, key, clientCa } = tls;
  const read = readTls({ ca: clientCa, certificate, key }, field)?.reveal();
  return redact({ ...read, requestCert: clientCa !== undefined, rejectUnauthorized: clientCa !== undefined });
}

const nameOf = (source: SecretSource) => ("file" in source ? `file ${source.file}` : `variable ${source.variable}`);

const textOf = (source: SecretSource) =>
  ("file" in source ? readText(source.file) : readVariable(source.variable))?.trim();

const invalid = (field: string, message: string) =>
  new LockstepError("config-invalid", `${field}: ${message}`, { details: { field } });

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
