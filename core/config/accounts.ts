import { readFileSync } from "node:fs";
import { z } from "zod";
import type { Hex } from "../kernel/codec.ts";
import { LockstepError } from "../kernel/errors.ts";
import { type Redacted, redact } from "../kernel/redacted.ts";
import { readVariable } from "./env.ts";

/** Where 32 secret bytes come from: a file that holds nothing else, or an environment variable; 0x-prefixed hex. */
export const keySourceSchema = z.union([
  z.strictObject({ file: z.string().min(1) }),
  z.strictObject({ variable: z.string().min(1) }),
]);
export type KeySource = z.output<typeof keySourceSchema>;

/** Reads a key. Errors name where it was looked for, never what was there. */
export function readKey(source: KeySource, field: string): Redacted<Hex> {
  const where = "file" in source ? `file ${source.file}` : `variable ${source.variable}`;
  const text = "file" in source ? readText(source.file) : readVariable(source.variable);
  if (text !== undefined && /^0x[0-9a-fA-F]{64}$/.test(text.trim())) return redact(text.trim() as Hex);
  const found = text === undefined ? "there is nothing" : "there is something else";
  throw new LockstepError("config-invalid", `${field}: expected 32 bytes as 0x-prefixed hex in ${where}; ${found}`, {
    details: { field },
  });
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
