/** What a log tells, the most first. */
export const levels = ["trace", "debug", "info", "warn", "error", "silent"] as const;
