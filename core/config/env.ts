import { z } from "zod";
import { redact } from "../kernel/redacted.ts";

/** What the environment may say. The one file that reads it; everything else is in the configuration file. */
const envSchema = z.object({
  /** PostgreSQL 15 or later; without it a database is started from the data folder. */
  DATABASE_URL: z.url({ protocol: /^postgres(ql)?$/ }).optional(),
  /** Redis for the queue; without it the queue lives in the database. */
  REDIS_URL: z.url({ protocol: /^rediss?$/ }).optional(),
  LOCKSTEP_LOG_LEVEL: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
  /** Where commands find the service that they ask, and what they show it; instead of the local network's. */
  LOCKSTEP_URL: z.url({ protocol: /^https?$/ }).optional(),
  LOCKSTEP_TOKEN: z
    .string()
    .transform((token) => redact(token))
    .optional(),
  /** For fault drills: the process kills itself (SIGKILL) when it passes this mark, e.g. `broadcast/swap.lock-source`. */
  LOCKSTEP_CRASH_AT: z.string().optional(),
  /** The same with SIGSTOP, once. */
  LOCKSTEP_PAUSE_AT: z.string().optional(),
});

export type Env = Readonly<z.output<typeof envSchema>>;

/** Empty variables count as unset. Throws a zod error; `loadConfig` turns it into `config-invalid`. */
export function readEnv(): Env {
  const set = Object.entries(process.env).filter(([, value]) => value !== undefined && value !== "");
  return Object.freeze(envSchema.parse(Object.fromEntries(set)));
}

/** The value of a variable that the configuration names, for keys that are kept in the environment. */
export function readVariable(name: string): string | undefined {
  return process.env[name];
}

/** The environment as child processes of ours get it. */
export function inheritedEnv(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}
