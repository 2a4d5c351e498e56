import { readFileSync } from "node:fs";
import { z } from "zod";
import { LockstepError } from "../kernel/errors.ts";
import { type Env, readEnv } from "./env.ts";

/**
 * Parses a JSON file by a schema, once, and freezes it. Throws `config-invalid` with the path of the first field at
 * fault, what was expected, and the file's name.
 */
export function loadConfig<S extends z.ZodType>(path: string, schema: S): Readonly<z.output<S>> {
  const result = schema.safeParse(readJson(path));
  if (result.success) return Object.freeze(result.data);
  throw invalid(path, result.error);
}

/** The environment, with the same error when a variable does not fit. */
export function parseEnv(): Env {
  try {
    return readEnv();
  } catch (error) {
    throw error instanceof z.ZodError ? invalid("environment", error) : error;
  }
}

function invalid(where: string, error: z.ZodError): LockstepError {
  const [issue] = error.issues;
  const field = issue?.path.map(String).join(".") || "(root)";
  return new LockstepError("config-invalid", `${where}: ${field}: ${issue?.message ?? "not valid"}`, {
    details: { field },
  });
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const why = error instanceof SyntaxError ? "it is not JSON" : "it cannot be read";
    throw new LockstepError("config-invalid", `${path}: ${why}`);
  }
}
