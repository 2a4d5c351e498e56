import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Redacted, redact } from "#core/kernel/redacted.ts";

/** The token that requests which change something carry; in a file that only the owner of the process can read. */
export function ensureToken(dataDir: string): Redacted<string> {
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, "token");
  if (!existsSync(file)) writeFileSync(file, `${randomBytes(24).toString("base64url")}\n`, { mode: 0o600, flag: "wx" });
  return redact(readFileSync(file, "utf8").trim());
}
