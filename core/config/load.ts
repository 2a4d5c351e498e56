import { readFileSync } from "node:fs";
import { z } from "zod";
import { LockstepError } from "../kernel/errors.ts";
import { type Env, readEnv } from "./env.ts";

/**
 * Parses a JSON file by a schema, once, and freezes it. Throws `config-invalid` with everything that is wrong: the
 * file's name, and for each field its path, what was expected, and what kind of thing is there; never the value, which
 * may be a secret.
 */
export function loadConfig<S extends z.ZodType>(path: string, schema: S): Readonly<z.output<S>> {
  const given = readJson(path);
  const result = schema.safeParse(given);
  if (result.success) return Object.freeze(result.data);
  throw invalid(path, result.error, given);
}

/** The environment, with the same error when a variable does not fit. */
export function parseEnv(): Env {
  try {
    return readEnv();
  } catch (error) {
    throw error instanceof z.ZodError ? invalid("environment", error) : error;
  }
}

function invalid(where: string, error: z.ZodError, given?: unknown): LockstepError {
  const faults = error.issues.flatMap((issue) => faultsOf(issue, given));
  const [first] = faults;
  const lines = faults.map(({ field, words }) => `${where}: ${field}: ${words}`);
  return new LockstepError("config-invalid", lines.join("\n"), {
    details: { field: first?.field, fields: faults.map(({ field }) => field) },
  });
}

type Fault = { readonly field: string; readonly words: string };

function faultsOf(issue: z.core.$ZodIssue, given: unknown): Fault[] {
  const path = issue.path.map(String);
  if (issue.code === "unrecognized_keys") {
    return issue.keys.map((key) => ({ field: [...path, key].join("."), words: "nothing of this name is known here" }));
  }
  const got = given === undefined ? "" : `; got ${kindOf(valueAt(given, issue.path))}`;
  return [{ field: path.join(".") || "(root)", words: `${issue.message.replace(/, received .*$/, "")}${got}` }];
}

const valueAt = (given: unknown, path: readonly PropertyKey[]): unknown =>
  path.reduce<unknown>((value, key) => {
    return typeof value === "object" && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined;
  }, given);

/** What is there, in words that give no secret away, whatever was written into the wrong place. */
function kindOf(value: unknown): string {
  if (value === undefined) return "nothing";
  if (value === null) return "null";
  if (typeof value === "string") return value === "" ? "an empty text" : `a text of ${value.length} characters`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === "object" ? "an object" : typeof value === "number" ? "a number" : String(value);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const why = error instanceof SyntaxError ? "it is not JSON" : "it cannot be read";
    throw new LockstepError("config-invalid", `${path}: ${why}`);
  }
}
