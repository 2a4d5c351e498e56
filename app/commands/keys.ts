import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { privateKeyToAddress } from "viem/accounts";
import { readKey, readSecret } from "#core/config/accounts.ts";
import { isKeystore, keystoreAddress, sealKeystore } from "#core/config/keystore.ts";
import { loadConfig, parseEnv } from "#core/config/load.ts";
import { type ServiceConfig, serviceConfigSchema } from "#core/config/service.ts";
import { migrate } from "#core/db/migrate.ts";
import { createAuditLog } from "#core/http/audit/log.ts";
import { systemClock } from "#core/kernel/clock.ts";
import { checksummed, type Hex } from "#core/kernel/codec.ts";
import { LockstepError } from "#core/kernel/errors.ts";
import { type Redacted, redact } from "#core/kernel/redacted.ts";
import { createLog } from "#core/observe/log.ts";
import { layFoundation } from "../foundation.ts";
import { askHidden } from "../hiddenInput.ts";
import { createServiceReseal } from "../sealed.ts";
import { migrations } from "../stored.ts";
import { print, printError, table } from "../terminal.ts";
import { type CommandValues, readOptions, usageError } from "./options.ts";
import { keysImportCommand, keysListCommand, keysNewCommand, keysRotateCommand } from "./specs.ts";

const leastPassword = 8;
/** Rows are left that are not sealed under the present key. */
const exitLeft = 1;

export async function runKeysNew(args: readonly string[]): Promise<number> {
  const fresh = redact<Hex>(`0x${randomBytes(32).toString("hex")}`);
  return writeKeystore(readOptions(keysNewCommand, args), async () => fresh);
}

export async function runKeysImport(args: readonly string[]): Promise<number> {
  const values = readOptions(keysImportCommand, args);
  return writeKeystore(values, () => importedKey(values["key-file"]));
}

type NewKeystore = CommandValues<typeof keysNewCommand>;

async function writeKeystore(values: NewKeystore, keyOf: () => Promise<Redacted<Hex>>): Promise<number> {
  const { out, json } = values;
  if (out === undefined) throw usageError("--out: expected the file that the keystore is written to");
  const key = await keyOf();
  const address = addressOf(key);
  const sealed = await sealKeystore(key, await newPassword(values["password-file"]));
  try {
    writeFileSync(out, `${sealed}\n`, { mode: 0o600, flag: "wx" });
  } catch {
    throw invalid("--out", `${out} cannot be written, or is there already`);
  }
  print(json ? JSON.stringify({ address, keystore: out }) : `${address}  ${out}`);
  return 0;
}

async function importedKey(file: string | undefined): Promise<Redacted<Hex>> {
  if (file !== undefined) return readKey({ file }, "--key-file");
  const typed = await askHidden("private key: ", "--key-file");
  if (!/^0x[0-9a-fA-F]{64}$/.test(typed.reveal())) throw invalid("--key-file", "expected 32 bytes as 0x-prefixed hex");
  return redact(typed.reveal() as Hex);
}

async function newPassword(file: string | undefined): Promise<Redacted<string>> {
  const password =
    file === undefined ? await askHidden("password: ", "--password-file") : readSecret({ file }, "--password-file");
  if (password.reveal().length < leastPassword) {
    throw invalid("--password-file", `expected a password of at least ${leastPassword} characters`);
  }
  if (file === undefined) {
    const again = await askHidden("the same once more: ", "--password-file");
    if (again.reveal() !== password.reveal()) throw invalid("--password-file", "the two passwords differ");
  }
  return password;
}

/** The library's error would quote the key, so it is not passed on. */
function addressOf(key: Redacted<Hex>): Hex {
  try {
    return privateKeyToAddress(key.reveal());
  } catch {
    throw invalid("--key-file", "this is no private key");
  }
}

/** Addresses only; no password is asked for. */
export async function runKeysList(args: readonly string[]): Promise<number> {
  const { config, keystore, json } = readOptions(keysListCommand, args);
  if (config === undefined && keystore === undefined) throw usageError("expected --config FILE or a keystore");
  const accounts = config === undefined ? {} : loadConfig(config, serviceConfigSchema).accounts;
  const rows = Object.entries(accounts).map((entry) => accountRow(...entry));
  if (keystore !== undefined) rows.push({ name: keystore, key: "keystore", address: addressIn(keystore) });
  const shown = rows.map(({ name, key, address = "not said" }) => [name, key, address]);
  print(json ? JSON.stringify({ keys: rows }) : table(["name", "key", "address"], shown));
  return 0;
}

/** `address`: undefined where a keystore does not say it. */
type KeyRow = { readonly name: string; readonly key: string; readonly address: Hex | undefined };

function accountRow(name: string, source: ServiceConfig["accounts"][string]): KeyRow {
  if ("remote" in source) return { name, key: "remote signer", address: checksummed(source.remote.address) };
  if ("keystore" in source) return { name, key: "keystore", address: addressIn(source.keystore) };
  const key = "file" in source ? "file, in the open" : "variable";
  return { name, key, address: addressOf(readKey(source, `accounts.${name}`)) };
}

function addressIn(file: string): Hex | undefined {
  const text = textOf(file);
  if (!isKeystore(text)) throw invalid(file, "this is no keystore");
  const address = keystoreAddress(text);
  return address === undefined ? undefined : checksummed(address as Hex);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    throw invalid(file, "the keystore cannot be read");
  }
}

/** Ends with 0 once no row needs a previous sealing key. May be killed and run again at any time. */
export async function runKeysRotate(args: readonly string[]): Promise<number> {
  const { config: file, json } = readOptions(keysRotateCommand, args);
  const config = loadConfig(file, serviceConfigSchema);
  const env = parseEnv();
  const log = createLog({ level: env.LOCKSTEP_LOG_LEVEL, name: "keys" });
  const foundation = await layFoundation({ ...config, accounts: {} }, env, { log, clock: systemClock });
  try {
    await migrate(foundation.db, migrations, log);
    const found = await createServiceReseal(foundation).run({
      onBatch: (name, count) => printError(`${name}: ${count} rows sealed anew`),
    });
    await createAuditLog({ db: foundation.db, keys: foundation.auditKeys }).reseal();
    const left = found.some((each) => each.left > 0);
    if (json) print(JSON.stringify({ done: !left, tables: found }));
    else {
      const rows = found.map(({ table: name, left, unopened }) => [name, String(left), String(unopened)]);
      print(table(["table", "left", "of these open with no key"], rows));
      print(
        left ? "rows are left: keep the previous keys, and run this again" : "no row needs a previous key any more",
      );
    }
    return left ? exitLeft : 0;
  } finally {
    await foundation.close();
  }
}

const invalid = (field: string, message: string) =>
  new LockstepError("config-invalid", `${field}: ${message}`, { details: { field } });
