import { type Logger, pino } from "pino";

export type Level = "trace" | "debug" | "info" | "warn" | "error" | "silent";

/**
 * Structured log: `log.info({ snake_case: value }, "constant message")`. One child per module through
 * `log.child({ module })`. Bigints are printed as decimal strings; keys, secrets and calldata are never passed in.
 */
export type Log = Pick<Logger, "trace" | "debug" | "info" | "warn" | "error" | "child">;

/** JSON lines on standard error, so that standard output stays free for what a command answers. */
export function createLog(options: { level: Level; name: string; destination?: NodeJS.WritableStream }): Log {
  return pino(
    {
      level: options.level,
      base: { process: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: stringifyBigints },
    },
    options.destination ?? process.stderr,
  );
}

function stringifyBigints(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([key, value]) => [key, typeof value === "bigint" ? value.toString() : value]),
  );
}
