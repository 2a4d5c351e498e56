import type { Caller } from "#core/http/access.ts";

/** Who decides about a swap over the API: a caller by its name, or whoever is at the machine itself. */
export const deciderOf = (caller: Caller | undefined): string =>
  caller === undefined || caller.id === "local" ? "operator" : caller.id;

/** A decider in words: callers have names such as `key:desk`, the others are roles. */
export const deciderName = (by: string): string => (by.includes(":") ? by : `the ${by}`);
