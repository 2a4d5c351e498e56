import { type Logger, pino } from "pino";
import type { levels } from "../config/levels.ts";
import { isLockstepError } from "../kernel/errors.ts";
import { currentFields } from "./tracking.ts";

export type Level = (typeof levels)[number];

/**
 * Structured log: `log.info({ snake_case: value }, "constant message")`. One child per module through
 * `log.child({ module })`. Bigints are printed as decimal strings; keys, secrets and calldata are never passed in. What is
 * logged while something is worked for carries its tracking id.
 */
export type Log = Pick<Logger, "trace" | "debug" | "info" | "warn" | "error" | "child">;

/** A log, and whoever may change what it and all its children tell from now on. */
export type RootLog = Log & { setLevel(level: Level): void };

/** Lines are written together, at the latest after so many milliseconds and when the process ends by itself. */
const flushMs = 50;
const flushBytes = 4_096;
/** What is held for a reader that stalls; lines beyond it are lost. */
const mostBytes = 16 * 2 ** 20;

/** JSON lines on standard error, so that standard output stays free for what a command answers. */
export function createLog(options: { level: Level; name: string; destination?: NodeJS.WritableStream }): RootLog {
  // A child has a level of its own from its creation on.
  const children = new Set<WeakRef<Logger>>();
  const root = pino(
    {
      level: options.level,
      onChild: (child) => void children.add(new WeakRef(child)),
      base: { process: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      serializers: { err: describeError },
      mixin: whatFor,
      formatters: { level: (label) => ({ level: label }), log: stringifyBigints },
    },
    options.destination ??
      pino.destination({ dest: 2, sync: false, minLength: flushBytes, maxLength: mostBytes, periodicFlush: flushMs }),
  );
  return Object.assign(root, {
    setLevel(level: Level) {
      root.level = level;
      for (const reference of children) {
        const child = reference.deref();
        if (child) child.level = level;
        else children.delete(reference);
      }
    },
  });
}

/** A copy, since the log adds the line's own fields to it. */
const whatFor = (): Record<string, unknown> => ({ ...currentFields() });

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
