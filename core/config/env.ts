import { z } from "zod";
import { redact } from "../kernel/redacted.ts";
import { levels } from "./levels.ts";
import { parseRedisUrl } from "./redisUrl.ts";
import { httpUrl, plainHttpUrl, postgresUrl } from "./url.ts";

/** What the environment may say. The one file that reads it; everything else is in the configuration file. */
const envFields = z.object({
  /** PostgreSQL 15 or later; without it a database is started from the data folder. */
  DATABASE_URL: postgresUrl.optional(),
  /** A streaming replica of that database, for what the API only shows. */
  DATABASE_READ_URL: postgresUrl.optional(),
  /** Redis for the queue, with Sentinel or a cluster too; without it the queue lives in the database. */
  REDIS_URL: z
    .string()
    .superRefine((text, context) => {
      try {
        parseRedisUrl(text);
      } catch (error) {
        context.addIssue({ code: "custom", message: error instanceof Error ? error.message : "expected a URL" });
      }
    })
    .optional(),
  LOCKSTEP_LOG_LEVEL: z.enum(levels).default("info"),
  /** Where commands find the service that they ask, and what they show it; instead of the local network's. */
  LOCKSTEP_URL: httpUrl.optional(),
  LOCKSTEP_TOKEN: z
    .string()
    .transform((token) => redact(token))
    .optional(),
  /** Where spans go where the configuration does not say it; the first as it is, the second with `/v1/traces` behind it. */
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: plainHttpUrl.optional(),
  OTEL_EXPORTER_OTLP_ENDPOINT: plainHttpUrl.optional(),
  /** For fault drills: the process kills itself (SIGKILL) when it passes this mark, e.g. `broadcast/swap.lock-source`. */
  LOCKSTEP_CRASH_AT: z.string().optional(),
  /** The same with SIGSTOP, once. */
  LOCKSTEP_PAUSE_AT: z.string().optional(),
});

const envSchema = envFields.refine(
  ({ DATABASE_URL, DATABASE_READ_URL }) => DATABASE_URL !== undefined || DATABASE_READ_URL === undefined,
  { path: ["DATABASE_READ_URL"], message: "needs DATABASE_URL: the embedded database has no replica" },
);

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
