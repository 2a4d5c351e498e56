import { type Logger, pino } from "pino";
import { isLockstepError } from "../kernel/errors.ts";

export type Level = "trace" | "debug" | "info" | "warn" | "error" | "silent";

/**
 * Structured log: `log.info({ snake_case: value }, "constant message")`. One child per module through
 * `log.child({ module })`. Bigints are printed as decimal strings; keys, secrets and calldata are never passed in.
 */
export type Log = Pick<Logger, "trace" | "debug" | "info" | "warn" | "error" | "child">;

/** Lines are written together, at the latest after so many milliseconds and when the process ends by itself. */
const flushMs = 50;
const flushBytes = 4_096;
/** What is held for a reader that stalls; lines beyond it are lost. */
const mostBytes = 16 * 2 ** 20;

/** JSON lines on standard error, so that standard output stays free for what a command answers. */
export function createLog(options: { level: Level; name: string; destination?: NodeJS.WritableStream }): Log {
  return pino(
    {
      level: options.level,
      base: { process: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: describeError },
      formatters: { level: (label) => ({ level: label }), log: stringifyBigints },
    },
    options.destination ??
      pino.destination({ dest: 2, sync: false, minLength: flushBytes, maxLength: mostBytes, periodicFlush: flushMs }),
  );
}

function stringifyBigints(fields: Record<string, unknown>): Record<string, unknown> {
  if (!Object.values(fields).some((value) => typeof value === "bigint")) return fields;
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, typeof value === "bigint" ? value.toString() : value]),
  );
}

/**
 * What a log says of an error: code and message, and the first cause. Errors of the chain library carry the whole
 * request, calldata included, in `message`; their `shortMessage` does not, so it is the one that is printed.
 */
function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: typeof error === "string" ? error : "not an error object" };
  const short = "shortMessage" in error && typeof error.shortMessage === "string" ? error.shortMessage : undefined;
  return {
    name: error.name,
    message: short ?? error.message,
    ...(isLockstepError(error) && { code: error.code, details: error.details }),
    ...(short === undefined && {
      stack: error.stack
        ?.split("\n")
        .slice(1, 6)
        .map((line) => line.trim()),
    }),
    ...(error.cause !== undefined && { cause: describeError(error.cause) }),
  };
}
