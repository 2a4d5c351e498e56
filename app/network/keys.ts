import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { privateKeyToAccount } from "viem/accounts";
import type { Hex } from "#core/kernel/codec.ts";
import { type Redacted, redact } from "#core/kernel/redacted.ts";

export type KeyFile = { readonly file: string; readonly key: Redacted<Hex>; readonly address: Hex };

/** A key in a file of its own that only the owner can read; made at random the first time. */
export function ensureKey(folder: string, name: string): KeyFile {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const file = join(folder, `${name}.key`);
  if (!existsSync(file)) writeFileSync(file, `0x${randomBytes(32).toString("hex")}\n`, { mode: 0o600, flag: "wx" });
  const key = readFileSync(file, "utf8").trim() as Hex;
  return { file, key: redact(key), address: privateKeyToAccount(key).address };
}
