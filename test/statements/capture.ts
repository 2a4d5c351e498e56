import { appendFileSync } from "node:fs";
import { serialize } from "node:v8";
import pg from "pg";

/**
 * To be imported by a process before all else: writes each statement of the process, with the values that it first came
 * with, to the file that a variable names, a line each.
 */
const file = process.env.LOCKSTEP_TEST_STATEMENTS;
const seen = new Set<string>();
const original = pg.Client.prototype.query as (...args: unknown[]) => unknown;

function note(config: unknown): void {
  if (file === undefined || typeof config !== "object" || config === null || !("text" in config)) return;
  const { text, values = [] } = config as { text: string; values?: unknown[] };
  if (seen.has(text)) return;
  seen.add(text);
  appendFileSync(file, `${serialize({ text, values: values.map(plain) }).toString("base64")}\n`);
}

/** As the driver sends it; functions and the like are not sent. */
const plain = (value: unknown): unknown => (typeof value === "function" ? undefined : value);

pg.Client.prototype.query = function query(this: pg.Client, ...args: unknown[]) {
  note(args[0]);
  return original.apply(this, args);
} as typeof pg.Client.prototype.query;
